#!/bin/bash
# Measures what the extension costs, on a private cluster: a table, report.json and report.svg in target/bench.
# docs/benchmarks.md explains the rows.
#
#   make bench            all of it, ten minutes
#   QUICK=1 make bench    a small table and few rounds, to see that it runs: its figures mean little
#   PARTS=ledger make bench   a part of it: policies, binds, memory, ledger
#
# Settings, from the environment: ROWS of the table (1000000), ROUNDS (15), SLOW_ROUNDS of the cases that cost many
# times more (3), BINDS a round (1000), CHECKS of a signature a round (10000), CALLS of the memory test (1000000). Those of
# the ledger are in bench/ledger.sh.
# shellcheck disable=SC2154
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# The longest statement is a million signature checks.
answer_seconds_max=300
source scripts/session.sh
source bench/measure.sh
source bench/ledger.sh

main() {
    if [[ -n ${QUICK:-} ]]; then
        : "${ROWS:=100000}" "${ROUNDS:=3}" "${SLOW_ROUNDS:=1}" "${BINDS:=500}" "${CHECKS:=5000}" "${CALLS:=50000}"
    fi
    : "${ROWS:=1000000}" "${ROUNDS:=15}" "${SLOW_ROUNDS:=3}" "${BINDS:=1000}" "${CHECKS:=10000}" "${CALLS:=1000000}"

    private_postgres
    work=$(mktemp -d)
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    directory=$target/bench
    results=$directory/results.tsv
    pki=$work/pki
    mkdir -p "$directory"
    : >"$results"

    stage "compile the programs" "${CARGO:-cargo}" build --quiet --release -p kakunin-bench -p kakunin-verify
    helper=$target/release/kakunin-bench
    if wanted policies || wanted binds || wanted memory; then
        stage "make certificates" bench/pki.sh "$pki"
        stage "start a cluster" start_cluster
        stage "load $ROWS rows" load
    fi
    if wanted policies; then
        stage "row-level security, $ROUNDS rounds" measure_policies
    fi
    if wanted binds; then
        stage "binds and signatures, $ROUNDS rounds" measure_binds
    fi
    if wanted memory; then
        stage "memory over $CALLS calls" measure_memory
    fi
    if wanted ledger; then
        [[ -z ${session_pid[admin]:-} ]] || close_session admin
        scripts/cluster.sh remove bench
        measure_ledger
    fi
    printf '\n'
    "$helper" report "$directory"
    printf '%s\n' "also in ${directory#"$root"/}/report.json and report.svg"
}

# Is this part to be measured? All of them are, if none is named.
wanted() {
    [[ " ${PARTS:-$1} " == *" $1 "* ]]
}

finish() {
    local status=$?
    finish_standby
    close_sessions
    scripts/cluster.sh remove bench
    scripts/cluster.sh remove bench_ledger
    exit $status
}

start_cluster() {
    scripts/cluster.sh remove bench
    # All in memory and nothing in the background, so that only the statements that are measured cost anything.
    scripts/cluster.sh start bench -c shared_buffers=1GB -c fsync=off -c autovacuum=off -c max_wal_size=8GB \
        -c jit=off -c max_parallel_workers_per_gather=0 -c kakunin.used_proofs_max=8388608
    connect_to bench
    psql -X -q -d postgres -c 'create database bench'
    open_session admin postgres -d bench
    ask admin "create extension kakunin;"
}

load() {
    local name
    serial=$(openssl x509 -in "$pki/rsa.pem" -noout -serial | cut -d= -f2)
    psql -X -q -d bench -v rows="$ROWS" -v agents=1000 -v serial="$serial" -f bench/setup.sql >/dev/null
    for name in root tenant rsa p256; do
        ask admin "\\set $name \`cat $(printf '%q' "$pki/$name.pem")\`"
    done
    ask admin "select kakunin.add_trust_anchor((kakunin.pem_decode(:'root'))[1]);"
    for name in rsa p256; do
        value admin "(kakunin.import_certificate((kakunin.pem_decode(:'$name'))[1], kakunin.pem_decode(:'tenant'))).valid"
        [[ $output == t ]] || give_up "certificate $name was not imported: $output"
    done
    value admin "kakunin.proof_audience()"
    audience=$output
    fact server "PostgreSQL $(psql -X -At -d bench -c 'show server_version' | cut -d' ' -f1)"
    fact rows "$ROWS"
    fact rounds "$ROUNDS"
}

main "$@"
