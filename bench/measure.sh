# shellcheck shell=bash disable=SC2153,SC2154
# The measurements. Sourced by scripts/bench.sh, which sets the variables in capitals, $serial, $audience, $pki,
# $helper and $results. Names of tests and cases are those of bench/src/goals.rs.
#
# Every round takes all cases in turn, so that what disturbs the machine disturbs all of them. CPU time is what the
# backend's getrusage() says of a statement (log_statement_stats); wall time only where there are several processes.

# A role, and the name of its case. The constant comes first: the others are compared with it.
policy_roles=(constant protected bare claims plpgsql)
declare -A case_of=(
    [constant]="constant, no RLS" [protected]="protect_table()" [bare]="bare kakunin_cert_serial()"
    [claims]="request.jwt.claims" [plpgsql]="plpgsql helper"
)

fact() {
    printf 'fact\t%s\t%s\n' "$1" "$2" >>"$results"
}

# record TEST CASE ROUND NUMBER. Round 0 warms up and is not kept.
record() {
    [[ $4 =~ ^-?[0-9.]+(e-?[0-9]+)?$ ]] || give_up "$1, $2: not a number: $4"
    if [[ $3 != 0 ]]; then
        printf 'value\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$results"
    fi
}

measure_policies() {
    local role
    for role in "${policy_roles[@]}"; do
        open_session "$role" "bench_$role" -d bench -q
    done
    ask claims "set request.jwt.claims = '{\"role\": \"authenticated\", \"sub\": \"agent-1\", \"kakunin_cert_serial\": \"$serial\"}';"
    ask plpgsql "set request.jwt.claims = '{\"role\": \"authenticated\", \"sub\": \"agent-1\", \"kakunin_cert_serial\": \"$serial\"}';"
    await_proofs
    bind protected
    bind bare
    check_rows

    each_round scan_once
    each_round parallel_once
    ask admin "create index on bench.vault (permitted_agent_serial);
vacuum (analyze) bench.vault;"
    check_rows
    each_round own_once
    each_round point_once
    each_round list_once
    for role in "${policy_roles[@]}"; do
        close_session "$role"
    done
}

# Calls COMMAND ROLE ROUND for each of both. What costs many times more than the rest is taken less often.
each_round() {
    local round role
    for ((round = 0; round <= ROUNDS; round++)); do
        for role in "${policy_roles[@]}"; do
            if [[ $role != claims && $role != plpgsql ]] || ((round <= SLOW_ROUNDS)); then
                "$1" "$role" "$round"
            fi
        done
    done
}

# Each role must see the same rows, or the comparison means nothing.
check_rows() {
    local role expected=
    for role in "${policy_roles[@]}"; do
        value "$role" "count(*) || ' rows, ' || coalesce(sum(id), 0) from bench.vault $(where "$role")"
        output=$(grep ' rows, ' <<<"$output" || true)
        expected=${expected:-$output}
        [[ -n $output && $output == "$expected" && $output != 0* ]] || give_up "$role sees $output, not $expected"
    done
}

# where ROLE [WORD]: the constant of the yardstick; the others have their policy.
where() {
    if [[ $1 == constant ]]; then
        printf "%s permitted_agent_serial = '%s'" "${2:-where}" "$serial"
    fi
}

scan_once() {
    cpu "$1" 1 "select count(*), sum(amount) from bench.vault $(where "$1");"
    record scan "${case_of[$1]}" "$2" "$(scaled "$cpu_micros" 1000)"
}

own_once() {
    cpu "$1" 10 "select count(*), sum(amount) from bench.vault $(where "$1");"
    record own "${case_of[$1]}" "$2" "$(scaled "$cpu_micros" 1000)"
}

point_once() {
    cpu "$1" 1 "do \$\$
declare
    found text;
begin
    for i in 1..30000 loop
        select note into found from bench.vault where id = 1 + i * 17 % $ROWS $(where "$1" and);
    end loop;
end \$\$;"
    record point "${case_of[$1]}" "$2" "$(scaled "$cpu_micros" 30000)"
}

list_once() {
    cpu "$1" 1 "do \$\$
declare
    found bigint;
begin
    for i in 1..100 loop
        select sum(id) into found from bench.vault where amount < 200 $(where "$1" and);
    end loop;
end \$\$;"
    record list "${case_of[$1]}" "$2" "$(scaled "$cpu_micros" 100)"
}

parallel_once() {
    local launched
    ask "$1" "set max_parallel_workers_per_gather = 2;
set parallel_setup_cost = 0;
set parallel_tuple_cost = 0;
explain (analyze, timing off, format json) select count(*), sum(amount) from bench.vault $(where "$1");
reset max_parallel_workers_per_gather;"
    launched=$(sed -n 's/.*"Workers Launched": \([0-9]*\).*/\1/p' <<<"$output")
    [[ $launched == 2 ]] || give_up "$1: the scan was to have 2 workers, and has ${launched:-none}: $output"
    record parallel "${case_of[$1]}" "$2" "$(sed -n 's/.*"Execution Time": \([0-9.]*\).*/\1/p' <<<"$output")"
}

measure_binds() {
    local round
    open_session uncached bench_uncached -d bench -q
    open_session cached bench_cached -d bench -q
    open_session signature postgres -d bench -q
    load_signature
    for ((round = 0; round <= ROUNDS; round++)); do
        binds_once uncached "chain verified" "$round"
        binds_once cached "chain verdict kept" "$round"
        signatures_once "$round"
    done
    close_session uncached
    close_session cached
    close_session signature
}

# Every bind is a transaction of its own, with a proof of its own.
binds_once() {
    new_proofs rsa "$BINDS"
    cpu "$1" 1 "do \$\$
declare
    proofs text[] := array(select proof from bench.proof);
    one text;
begin
    foreach one in array proofs loop
        perform kakunin.bind_session(one);
        commit;
    end loop;
    if cardinality(proofs) <> $BINDS or kakunin_cert_serial() is distinct from '$serial' then
        raise 'not bound';
    end if;
end \$\$;"
    record bind "$2" "$3" "$(scaled "$cpu_micros" "$BINDS")"
    record bind_wall "$2" "$3" "$(scaled "$wall_micros" "$BINDS")"
}

load_signature() {
    local message signature
    { read -r message && read -r signature; } < <("$helper" message "$pki")
    ask signature "create table bench.signed as
select decode('$message', 'hex') as message, decode('$signature', 'hex') as signature,
       decode('$(od -An -v -tx1 "$pki/rsa.spki" | tr -d ' \n')', 'hex') as public_key;
set log_statement_stats = on;
set client_min_messages = log;"
}

signatures_once() {
    local TIMEFORMAT='%3U %3S' times
    times=$({ time "$helper" ring "$pki" "$CHECKS"; } 2>&1)
    [[ $times =~ ^[0-9.]+\ [0-9.]+$ ]] || give_up "ring: $times"
    record signature "ring alone" "$1" "$(awk -v n="$CHECKS" '{ print ($1 + $2) * 1e6 / n }' <<<"$times")"
    cpu signature 1 "do \$\$
declare
    signed bench.signed;
begin
    select * into signed from bench.signed;
    for i in 1..$CHECKS loop
        if not kakunin.verify_signature('RS256', signed.public_key, signed.message, signed.signature) then
            raise 'the signature does not verify';
        end if;
    end loop;
end \$\$;"
    record signature "verify_signature()" "$1" "$(scaled "$cpu_micros" "$CHECKS")"
}

# One session makes many calls; afterwards its memory is what it was. Both counts are in kB.
measure_memory() {
    local round fewer=$((CALLS / 10))
    open_session memory postgres -d bench -q
    bind memory
    growth "kakunin_cert_serial()" "$CALLS" "got := kakunin_cert_serial();" text
    growth "verify_signature()" "$CALLS" \
        "got := kakunin.verify_signature('RS256', signed.public_key, signed.message, signed.signature);" boolean
    growth "check_certificate()" "$fewer" "got := (kakunin.check_certificate(leaf, chain)).valid;" boolean
    # A proof lives for a minute, so they are signed and used in portions; those of P-256 are signed fastest.
    local portion=$((fewer < 10000 ? fewer : 10000))
    bind_portion "$portion"
    remember_memory
    for ((round = 0; round < fewer; round += portion)); do
        bind_portion "$portion"
    done
    record_growth "bind_transaction()"
    close_session memory
}

# growth CASE CALLS STATEMENT TYPE: STATEMENT sets "got", which must never be NULL or false.
growth() {
    local calls body
    for calls in $((($2 + 9) / 10)) "$2"; do
        remember_memory
        body="do \$\$
declare
    signed bench.signed;
    leaf bytea;
    chain bytea[];
    got $4;
begin
    select * into signed from bench.signed;
    select c.certificate, c.chain into leaf, chain from kakunin.certificate c where c.serial = '$serial';
    for i in 1..$calls loop
        $3
        if got is null or got::text = 'false' then
            raise 'call % gave %', i, coalesce(got::text, 'null');
        end if;
    end loop;
end \$\$;"
        ask memory "$body"
        [[ -z $output ]] || give_up "$1: $output"
    done
    record_growth "$1"
}

bind_portion() {
    new_proofs p256 "$1"
    # The certificate differs from the one that the session is bound to until now.
    ask memory "select kakunin.unbind_session();
do \$\$
declare
    proofs text[] := array(select proof from bench.proof);
    one text;
begin
    foreach one in array proofs loop
        perform kakunin.bind_transaction(one);
        commit;
    end loop;
end \$\$;"
    [[ $output != *ERROR* ]] || give_up "bind_transaction(): $output"
}

remember_memory() {
    value memory "bench.resident() || ' ' || bench.allocated()"
    read -r resident allocated <<<"$output"
}

record_growth() {
    local before_resident=$resident before_allocated=$allocated
    remember_memory
    record resident "$1" 1 "$(scaled $((resident - before_resident)) 1024)"
    record allocated "$1" 1 "$(scaled $((allocated - before_allocated)) 1024)"
}

# cpu SESSION TIMES SQL: runs SQL so often; mean microseconds of it in $cpu_micros and $wall_micros.
cpu() {
    local session=$1 times=$2 sql=$3 i all=
    for ((i = 0; i < times; i++)); do
        all+=$sql$'\n'
    done
    ask "$session" "$all"
    [[ $output != *ERROR* ]] || give_up "$session: $output"
    read -r cpu_micros wall_micros < <(awk -v times="$times" '
        / s user, .* s system, .* s elapsed/ { cpu += $2 + $5; wall += $8; n++ }
        END { if (n == times) print cpu * 1e6 / n, wall * 1e6 / n; else print "none", "none" }' <<<"$output")
    [[ $cpu_micros != none ]] || give_up "$session: no times in: $output"
}

scaled() {
    awk -v value="$1" -v by="$2" 'BEGIN { printf "%.6f", value / by }'
}

# bind SESSION: until it ends.
bind() {
    local proof
    proof=$("$helper" proofs rsa "$pki" "$serial" "$audience" 1)
    ask "$1" "select kakunin.bind_session('$proof');"
    value "$1" "kakunin_cert_serial()"
    [[ $output == *"$serial"* ]] || give_up "session $1 is not bound: $output"
}

# new_proofs ALGORITHM COUNT: fills bench.proof.
new_proofs() {
    local number
    number=$(openssl x509 -in "$pki/$1.pem" -noout -serial | cut -d= -f2)
    "$helper" proofs "$1" "$pki" "$number" "$audience" "$2" |
        psql -X -q -d bench -c 'truncate bench.proof' -c '\copy bench.proof from pstdin'
}

# Proofs from before the server's start, and of a few seconds after it, are refused.
await_proofs() {
    value admin "ceil(greatest(0, extract(epoch from pg_postmaster_start_time() - now()) + 1
        + (select setting::int from pg_settings where name = 'kakunin.clock_skew')))::int"
    sleep "$output"
}
