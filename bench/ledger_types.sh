# shellcheck shell=bash disable=SC2154
# False alarms: four sessions write honestly, rows of many types with random values, and nothing may be found wrong with
# them, in the database and outside it. Sourced by ledger.sh.

measure_honest() {
    local writer writers=() faults during
    new_database ledger_types
    psql -X -q -d ledger_types -v pool=$((LEDGER_TYPED / 100 > 2000 ? LEDGER_TYPED / 100 : 2000)) \
        -f bench/ledger_types.sql >/dev/null
    for writer in 1 2 3 4; do
        psql -X -q -d ledger_types -c "call bench.write_honest($((LEDGER_TYPED / 4)))" >"$work/writer.$writer" 2>&1 &
        writers+=($!)
    done
    sleep 1
    # Also in the middle of it.
    psql -X -q -d ledger_types -c 'select kakunin.checkpoint()' >/dev/null
    during=$(count_faults)
    for writer in 1 2 3 4; do
        wait "${writers[writer - 1]}" || give_up "a writer of many types: $(<"$work/writer.$writer")"
    done
    record honest "verify_ledger() meanwhile" 1 "$during"
    faults=$(count_faults)
    record honest "verify_ledger()" 1 "$faults"
    psql -X -q -d ledger_types -c 'select kakunin.checkpoint()' >/dev/null
    record honest "kakunin-verify" 1 "$(count_faults_outside)"
    fact honest_rows "$(psql -X -At -d ledger_types -c 'select count(*) from bench.honest') rows of $(psql -X -At \
        -d ledger_types -c "select count(*) - 1 from pg_attribute where attrelid = 'bench.pool'::regclass and attnum > 0") types"
    psql -X -q -d postgres -c 'drop database ledger_types'
}

count_faults() {
    psql -X -At -d ledger_types -c 'select count(*) from kakunin.verify_ledger()'
}

# Nothing is kept of the export, which is large.
count_faults_outside() {
    local key answer status=0
    key=$(psql -X -At -d ledger_types -c 'select kakunin.verifier_key()')
    answer=$(psql -X -At -v FETCH_COUNT=1000 -d ledger_types -c 'select kakunin.export_ledger()' |
        "$target/release/kakunin-verify" --all --json --key "$key" -) || status=$?
    [[ $status -le 1 ]] || give_up "kakunin-verify: $answer"
    sed -n 's/.*"fault_count":\([0-9]*\).*/\1/p' <<<"$answer"
}
