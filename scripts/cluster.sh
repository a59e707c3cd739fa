#!/bin/bash
# Private clusters, for the demo, the benchmarks and pg_regress. Unix socket only, nobody else can connect.
#
#   scripts/cluster.sh start NAME [-c setting=value ...]   make it if it is not there, start it if it is down
#   scripts/cluster.sh stop NAME | stop --all              stop it, or every one of them
#   scripts/cluster.sh remove NAME                         stop it and delete its data
#   scripts/cluster.sh psql NAME [psql options]            start it if it is down, and connect as the superuser
#   scripts/cluster.sh env NAME                            print PGHOST, PGPORT, PGUSER and PATH for a shell
#   scripts/cluster.sh status NAME                         whether it runs
#   scripts/cluster.sh log NAME                            print its log
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
    local verb=${1:-} name=${2:-}
    if [[ -z $verb || -z $name ]]; then
        sed -n '2,10s/^# \{0,1\}//p' "$root/scripts/cluster.sh" >&2
        exit 2
    fi
    shift 2
    private_postgres
    if [[ $verb == stop && $name == --all ]]; then
        stop_all
        return
    fi
    if [[ ! $name =~ ^[a-z][a-z0-9_]*$ ]]; then
        echo "A cluster's name has lower-case letters, digits and underscores: $name" >&2
        exit 2
    fi
    directory=$base/cluster-$name
    data=$directory/data
    case $verb in
        start) start "$name" "$@" ;;
        stop) stop ;;
        remove) stop && rm -rf "$directory" ;;
        psql) resume "$name" && exec "$bin/psql" -h "$directory" -p 5432 -U postgres "$@" ;;
        env) printf 'export PGHOST=%q PGPORT=5432 PGUSER=postgres PATH=%q\n' "$directory" "$bin:$PATH" ;;
        status) status "$name" ;;
        log) cat "$directory/log" ;;
        *) echo "There is no verb $verb." >&2 && exit 2 ;;
    esac
}

start() {
    local name=$1
    shift
    if running; then
        return
    fi
    server_directory "$directory"
    if [[ ! -e $data/PG_VERSION ]]; then
        # A half-made directory of an interrupted run is of no use.
        rm -rf "$data"
        as_server "$bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --no-locale --no-sync >/dev/null
        echo "include 'kakunin.conf'" | as_server tee -a "$data/postgresql.conf" >/dev/null
    fi
    settings "$@" | as_server tee "$data/kakunin.conf" >/dev/null
    if ! as_server "$bin/pg_ctl" -D "$data" -l "$directory/log" -w -t 60 -s start; then
        tail -n 20 "$directory/log" >&2
        echo "The cluster $name did not start; its log is $directory/log." >&2
        exit 1
    fi
}

# Starts a cluster that is there.
resume() {
    if [[ ! -e $data/PG_VERSION ]]; then
        echo "There is no cluster $1 yet: make $1 makes it." >&2
        exit 1
    fi
    running || as_server "$bin/pg_ctl" -D "$data" -l "$directory/log" -w -t 60 -s start
}

settings() {
    cat <<CONF
listen_addresses = ''
unix_socket_directories = '$directory'
unix_socket_permissions = 0700
port = 5432
shared_preload_libraries = 'kakunin'
log_line_prefix = '%m [%p] '
CONF
    local setting
    while [[ $# -gt 0 ]]; do
        [[ $1 == -c && $# -gt 1 ]] || { echo "expected -c setting=value, found $1" >&2 && return 2; }
        setting=${2//\'/\'\'}
        shift 2
        printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}"
    done
}

status() {
    if ! running; then
        echo "$1 is down"
        exit 1
    fi
    echo "$1 runs"
}

running() {
    [[ -e $data/postmaster.pid ]] && as_server "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1
}

stop() {
    if running; then
        as_server "$bin/pg_ctl" -D "$data" -w -s -m fast stop
    fi
}

stop_all() {
    for directory in "$base"/cluster-*; do
        data=$directory/data
        if [[ -d $data ]]; then
            stop
        fi
    done
}

main "$@"
