# shellcheck shell=bash disable=SC2154
# Checkpoints, verify_ledger(), export_ledger() and kakunin-verify. Sourced by ledger.sh.

# One row an entry. Filled in ten parts, each of which is then new to a checkpoint.
measure_checkpoints() {
    local part portion=$((LEDGER_ROWS / 10))
    new_database ledger_1
    open_measured entries ledger_1
    ask entries "set plan_cache_mode = force_generic_plan;
set synchronous_commit = off;"
    for ((part = 1; part <= 10; part++)); do
        ask entries "call bench.fill($portion, 1);"
        # Flushed by whoever asks for it, which is not to be the checkpoint.
        ask entries "set synchronous_commit = on;
create temporary table flush ();
drop table flush;
set synchronous_commit = off;"
        cpu entries 1 "do \$\$ begin perform kakunin.checkpoint(); end \$\$;"
        record checkpoint "entries that are new" "$part" "$(scaled "$wall_micros" "$portion")"
    done
    ask entries "set synchronous_commit = on;"
    for ((part = 0; part <= 10; part++)); do
        cpu entries 1 "do \$\$ begin perform kakunin.checkpoint(); end \$\$;"
        record checkpoint_idle "nothing new" "$part" "$(scaled "$wall_micros" 1000)"
    done
    close_session entries
    measure_signer
}

# A checkpoint is made for one session of a database at a time, so that each client has a database. With nothing new it is
# a signature, a file of the signer's, and a commit.
measure_signer() {
    local number clients round answers clients_of
    printf 'select kakunin.checkpoint();\n' >"$work/sign.sql"
    for number in 1 2 3 4; do
        new_database "ledger_sign_$number"
        psql -X -q -d "ledger_sign_$number" -c 'select kakunin.checkpoint()' >/dev/null
    done
    for ((round = 1; round <= LEDGER_SLOW_ROUNDS; round++)); do
        for clients in 1 4; do
            answers=$work/signed
            rm -f "$answers".*
            clients_of=()
            for ((number = 1; number <= clients; number++)); do
                pgbench -n -f "$work/sign.sql" -T 1 "ledger_sign_$number" >"$answers.$number" 2>&1 &
                clients_of+=($!)
            done
            wait "${clients_of[@]}"
            record signer "$clients at once" "$round" \
                "$(awk '/^tps = / { sum += $3 } END { if (sum > 0) printf "%.3f", 1e6 / sum }' "$answers".*)"
        done
    done
    for number in 1 2 3 4; do
        psql -X -q -d postgres -c "drop database ledger_sign_$number"
    done
}

measure_reading() {
    fill_ledger ledger_1000 $((LEDGER_ROWS / 1000)) 1000
    fill_ledger ledger_100 $((LEDGER_ROWS / 100)) 100
    fill_ledger ledger_few $((LEDGER_ROWS / 500)) 100
    psql -X -q -d postgres -c checkpoint
    local name
    for name in ledger_1000 ledger_100 ledger_few ledger_1; do
        psql -X -q -d "$name" -c 'vacuum (analyze) bench.ledger' -c 'vacuum (analyze) kakunin.ledger_entry'
    done
    # First, because the rows' bytes are counted in an export.
    measure_export
    measure_verify
    measure_verify_memory
    for name in ledger_1000 ledger_100 ledger_few ledger_1; do
        psql -X -q -d postgres -c "drop database $name"
    done
}

# fill_ledger DATABASE ENTRIES ROWS
fill_ledger() {
    new_database "$1"
    psql -X -q -d "$1" -c 'set synchronous_commit = off' -c 'set plan_cache_mode = force_generic_plan' \
        -c "call bench.fill($2, $3)"
    psql -X -q -d "$1" -c 'select kakunin.checkpoint()' >/dev/null
}

measure_verify() {
    local round name
    local -A entries=([ledger_1000]="1000 rows an entry" [ledger_100]="100 rows an entry" [ledger_1]="1 row an entry")
    for name in "${!entries[@]}"; do
        open_measured "$name" "$name"
    done
    for ((round = 0; round <= LEDGER_ROUNDS; round++)); do
        for name in ledger_1000 ledger_100 ledger_1; do
            verify_once "$name"
            record verify "${entries[$name]}" "$round" "$(scaled "$cpu_micros" "$LEDGER_ROWS")"
            record verify_wall "${entries[$name]}" "$round" "$(scaled "$wall_micros" "$LEDGER_ROWS")"
            if [[ $name == ledger_100 ]]; then
                record verify_limit "verify_ledger()" "$round" "$(scaled "$cpu_micros" "$LEDGER_ROWS")"
            fi
        done
        limit_once "$round"
    done
    for name in "${!entries[@]}"; do
        close_session "$name"
    done
}

verify_once() {
    cpu "$1" 1 "do \$\$
begin
    if exists (select from kakunin.verify_ledger('bench.ledger')) then
        raise 'faults';
    end if;
end \$\$;"
}

# What no verifier can do without: each row is read, each row is hashed, and so is a node of the tree for each.
limit_once() {
    local TIMEFORMAT='%3U %3S' times scan hash
    cpu ledger_100 1 "select count(at) from bench.ledger;"
    scan=$(scaled "$cpu_micros" "$LEDGER_ROWS")
    times=$({ time "$helper" sha256 "$row_bytes" "$LEDGER_ROWS"; } 2>&1)
    [[ $times =~ ^[0-9.]+\ [0-9.]+$ ]] || give_up "sha256: $times"
    hash=$(awk -v n="$LEDGER_ROWS" '{ printf "%.6f", ($1 + $2) * 1e6 / n }' <<<"$times")
    record verify_limit "scan alone" "$1" "$scan"
    record verify_limit "SHA-256 alone" "$1" "$hash"
    record verify_limit "scan and SHA-256" "$1" "$(awk -v scan="$scan" -v hash="$hash" 'BEGIN { print scan + hash }')"
}

# How much address space a fresh backend comes to need, in MB: with the memory that it may sort in, and with less than
# that of the rows takes.
measure_verify_memory() {
    local megabytes name before
    local -A part=([ledger_few]="a fifth of the rows" [ledger_100]="all rows")
    for megabytes in 64 4; do
        for name in ledger_few ledger_100; do
            open_session memory postgres -d "$name" -q
            value memory "bench.address_space('VmSize')"
            before=$output
            ask memory "set maintenance_work_mem = '${megabytes}MB';
select count(*) from kakunin.verify_ledger('bench.ledger');"
            [[ $output =~ (^|$'\n')' '*0($|$'\n') ]] || give_up "verify_ledger() of $name: $output"
            value memory "bench.address_space('VmPeak')"
            close_session memory
            record "verify_memory_$megabytes" "${part[$name]}" 1 "$(scaled $((output - before)) 1024)"
        done
    done
}

measure_export() {
    local TIMEFORMAT='%3R %3U %3S' round times wall user system
    export_to ledger_few few
    for ((round = 1; round <= LEDGER_SLOW_ROUNDS; round++)); do
        timed export_to ledger_100 all
        record export "export_ledger()" "$round" "$(scaled "$elapsed" "$LEDGER_ROWS")"
    done
    row_bytes=$(awk -v bytes="$(stat -c %s "$work/all.jsonl")" -v rows="$LEDGER_ROWS" \
        'BEGIN { printf "%d", (bytes / rows - 3) * 3 / 4 }')
    fact ledger_row_bytes "$row_bytes as they are hashed"
    key=$(psql -X -At -d ledger_100 -c 'select kakunin.verifier_key()')
    for ((round = 1; round <= LEDGER_ROUNDS; round++)); do
        times=$({ time check_file all; } 2>&1)
        [[ $times =~ ^[0-9.]+\ [0-9.]+\ [0-9.]+$ ]] || give_up "$times"
        read -r wall user system <<<"$times"
        record offline "kakunin-verify" "$round" "$(awk -v t="$wall" -v n="$LEDGER_ROWS" 'BEGIN { print t * 1e6 / n }')"
        record offline_cpu "kakunin-verify" "$round" \
            "$(awk -v t="$user" -v u="$system" -v n="$LEDGER_ROWS" 'BEGIN { print (t + u) * 1e6 / n }')"
    done
    check_file_watched all
    record offline_memory "all rows" 1 "$(scaled "$peak_kb" 1024)"
    key=$(psql -X -At -d ledger_few -c 'select kakunin.verifier_key()')
    check_file_watched few
    record offline_memory "a fifth of the rows" 1 "$(scaled "$peak_kb" 1024)"
    rm -f "$work/all.jsonl" "$work/few.jsonl"
}

# Through a cursor, so that psql does not keep it all.
export_to() {
    psql -X -At -v FETCH_COUNT=1000 -d "$1" -o "$work/$2.jsonl" -c 'select kakunin.export_ledger()'
}

check_file() {
    "$target/release/kakunin-verify" --key "$key" "$work/$1.jsonl" >"$work/checked" 2>&1 ||
        give_up "kakunin-verify: $(<"$work/checked")"
}

# With the most memory that it had at once in $peak_kb: the kernel's mark, as it was last seen while it ran.
check_file_watched() {
    local process mark
    peak_kb=none
    "$target/release/kakunin-verify" --key "$key" "$work/$1.jsonl" >"$work/checked" 2>&1 &
    process=$!
    while mark=$(grep VmHWM "/proc/$process/status" 2>/dev/null); do
        peak_kb=${mark//[!0-9]/}
        sleep 0.01
    done
    wait "$process" || give_up "kakunin-verify: $(<"$work/checked")"
}
