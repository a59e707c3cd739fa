# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# The ledger's measurements on a cluster of their own, whose commits wait for the disk. Sourced by scripts/bench.sh after
# measure.sh. Names of tests and cases are those of bench/src/goals/ledger.rs.

source bench/ledger_write.sh
source bench/ledger_read.sh
source bench/ledger_standby.sh
source bench/ledger_types.sh

# LEDGER_ROUNDS and LEDGER_SLOW_ROUNDS of LEDGER_SECONDS each; LEDGER_COPY rows of COPY; LEDGER_ROWS of the ledgers that
# are verified and exported, LEDGER_TYPED of the one with many types; LEDGER_STOP seconds without a standby.
ledger_settings() {
    if [[ -n ${QUICK:-} ]]; then
        : "${LEDGER_ROUNDS:=1}" "${LEDGER_SLOW_ROUNDS:=1}" "${LEDGER_SECONDS:=1}" "${LEDGER_COPY:=50000}"
        : "${LEDGER_ROWS:=100000}" "${LEDGER_TYPED:=100000}" "${LEDGER_STOP:=2}"
    fi
    : "${LEDGER_ROUNDS:=7}" "${LEDGER_SLOW_ROUNDS:=2}" "${LEDGER_SECONDS:=2}" "${LEDGER_COPY:=200000}"
    : "${LEDGER_ROWS:=1000000}" "${LEDGER_TYPED:=1000000}" "${LEDGER_STOP:=5}"
}

measure_ledger() {
    ledger_settings
    stage "start a cluster that waits for the disk" start_ledger_cluster
    stage "a standby that stands still for $LEDGER_STOP s, twice" measure_standby
    stage "appending, $LEDGER_ROUNDS rounds of $LEDGER_SECONDS s" measure_appending
    stage "checkpoints" measure_checkpoints
    stage "verifying and exporting $LEDGER_ROWS rows" measure_reading
    stage "false alarms over $LEDGER_TYPED rows of many types" measure_honest
}

start_ledger_cluster() {
    scripts/cluster.sh remove bench_ledger
    # Nothing in the background; what a commit waits for is as in production.
    scripts/cluster.sh start bench_ledger -c shared_buffers=1GB -c fsync=on -c autovacuum=off -c checkpoint_timeout=1h \
        -c max_wal_size=8GB -c min_wal_size=2GB -c jit=off -c max_parallel_workers_per_gather=0 \
        -c maintenance_work_mem=64MB -c kakunin.signer_deadline=60s
    connect_to bench_ledger
    ledger_directory=$PGHOST
    psql -X -q -d postgres -c 'create database ledger_template'
    psql -X -q -d ledger_template -f bench/ledger.sql >/dev/null
    fact fdatasync "$(fdatasync_rate) a second (pg_test_fsync)"
    fact ledger_rows "$LEDGER_ROWS"
    fact ledger_rounds "$LEDGER_ROUNDS"
}

# pg_test_fsync tries many things for some seconds each; of the first it is stopped.
fdatasync_rate() {
    local line rate=unknown
    while read -r line; do
        if [[ $line =~ ^fdatasync\ +([0-9.]+)\ ops/sec ]]; then
            rate=${BASH_REMATCH[1]}
            break
        fi
    done < <(as_server timeout 10 "$bin/pg_test_fsync" -s 1 -f "$ledger_directory/fsync" 2>/dev/null)
    printf '%s' "$rate"
}

# new_database NAME [TEMPLATE]
new_database() {
    psql -X -q -d postgres -c "set client_min_messages = error" -c "drop database if exists $1" \
        -c "create database $1 template ${2:-ledger_template}"
}

# open_measured NAME DATABASE: a session for cpu().
open_measured() {
    open_session "$1" postgres -d "$2" -q
    ask "$1" "set log_statement_stats = on;
set client_min_messages = log;"
}

# Nothing may be wrong with what was measured. sound DATABASE [RELATION]
sound() {
    local faults
    faults=$(psql -X -At -d "$1" -c "select * from kakunin.verify_ledger(${2:-}) limit 3")
    [[ -z $faults ]] || give_up "a ledger of $1 has faults: $faults"
}

# Microseconds since COMMAND... was started, in $elapsed.
timed() {
    local started=${EPOCHREALTIME/./}
    "$@"
    elapsed=$((${EPOCHREALTIME/./} - started))
}
