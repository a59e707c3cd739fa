# shellcheck shell=bash disable=SC2154
# Eight sessions append while the synchronous standby stands still. All must wait for the standby, as they would
# without a ledger; none may wait for another's chain. Sourced by ledger.sh.

# The process that is stopped; finish_standby lets it go on if the script ends meanwhile.
stopped_process=

measure_standby() {
    local settings=$ledger_directory/standby/kakunin.conf
    new_database ledger_standby
    as_server "$bin/pg_basebackup" -h "$ledger_directory" -p 5432 -U postgres -D "$ledger_directory/standby" -R -X stream \
        -c fast --no-sync
    # The last of two equal settings counts. Its own disk is not of interest.
    as_server tee -a "$settings" >/dev/null <<CONF
port = 5433
fsync = off
shared_buffers = 64MB
cluster_name = 'bench_standby'
CONF
    as_server "$bin/pg_ctl" -D "$ledger_directory/standby" -l "$ledger_directory/standby.log" -w -t 60 -s start
    synchronous "*"
    open_session watch postgres -d postgres
    printf "insert into bench.ledger (request, actor, action, amount, payload) values (gen_random_uuid(), 'a', 'b', 1, '{}');\n" \
        >"$work/standby.sql"
    stand_still "released early" on
    stand_still "held over the flush" off
    close_session watch
    finish_standby
    rm -rf "$ledger_directory/standby"
    sound ledger_standby
    psql -X -q -d postgres -c 'drop database ledger_standby'
}

# synchronous STANDBYS: whom commits wait for. Waits until that is so.
synchronous() {
    local tries state=f
    psql -X -q -d postgres -c "alter system set synchronous_standby_names = '$1'" -c 'select pg_reload_conf()' >/dev/null
    for ((tries = 0; tries < 300; tries++)); do
        state=$(psql -X -At -d postgres -c "select exists (select from pg_stat_replication where sync_state = 'sync')")
        if [[ $state == t || -z $1 ]]; then
            return
        fi
        sleep 0.1
    done
    give_up "the standby does not become synchronous"
}

# stand_still CASE SETTING: with kakunin.early_lock_release. Each of some moments counts: the fewest that wait for the
# standby, and the most that wait for a lock.
stand_still() {
    local clients=8 writers standby chain standby_min chain_max=0 ends answer=$work/standby.out
    standby_min=$clients
    PGOPTIONS="-c kakunin.early_lock_release=$2" pgbench -n -f "$work/standby.sql" -c $clients -j 2 \
        -T $((LEDGER_STOP + 2)) ledger_standby >"$answer" 2>&1 &
    writers=$!
    sleep 1
    stopped_process=$(psql -X -At -p 5433 -d postgres -c 'select pid from pg_stat_wal_receiver')
    [[ $stopped_process =~ ^[0-9]+$ ]] || give_up "the standby has no walreceiver"
    kill -STOP "$stopped_process"
    ends=$((${EPOCHREALTIME/./} + LEDGER_STOP * 1000000))
    # Until what was on its way has arrived.
    sleep 0.5
    while ((${EPOCHREALTIME/./} < ends)); do
        value watch "count(*) filter (where wait_event = 'SyncRep') || ' ' || count(*) filter (where wait_event_type = 'Lock')
            from pg_stat_activity where application_name = 'pgbench'"
        read -r standby chain <<<"$output"
        standby_min=$((standby < standby_min ? standby : standby_min))
        chain_max=$((chain > chain_max ? chain : chain_max))
        sleep 0.2
    done
    go_on
    wait "$writers" || give_up "$(<"$answer")"
    record standby_wait "$1" 1 "$standby_min"
    record standby_lock "$1" 1 "$chain_max"
    fact "standby_$2" "lock $1: $standby_min of $clients sessions wait for the standby, $chain_max for the chain"
}

go_on() {
    if [[ -n $stopped_process ]]; then
        kill -CONT "$stopped_process" 2>/dev/null || true
        stopped_process=
    fi
}

# Ends the standby, if there is one. Also for the EXIT trap.
finish_standby() {
    go_on
    if [[ -n ${ledger_directory:-} && -e $ledger_directory/standby/postmaster.pid ]]; then
        synchronous ""
        as_server "$bin/pg_ctl" -D "$ledger_directory/standby" -m immediate -w -s stop || true
    fi
}
