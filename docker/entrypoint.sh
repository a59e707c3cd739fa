#!/bin/sh
# Makes the cluster on the first start, then becomes the server. Arguments go to the server.
#
#   POSTGRES_PASSWORD    password of the superuser postgres; needed on the first start only
#   /docker-init/*.sql   run once as the superuser, in order of name
set -eu

main() {
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        make_cluster
    elif [ ! -e "$PGDATA/initialised" ]; then
        echo "The first start in $PGDATA did not complete: empty the volume and start again." >&2
        exit 1
    fi
    exec postgres "$@"
}

make_cluster() {
    password=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD:?must hold the password of the superuser}" >"$password"
    initdb --pgdata="$PGDATA" --username=postgres --pwfile="$password" --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=peer --auth-host=scram-sha-256
    rm -f "$password"
    # Parameters stay out of the log, because proofs are passed as such.
    cat >>"$PGDATA/postgresql.conf" <<CONF
listen_addresses = '*'
shared_preload_libraries = 'kakunin'
# A volume of its own: the key that opens the signing keys, and the last checkpoints, are not to be where the data is.
kakunin.key_directory = '/var/lib/postgresql/keys'
log_parameter_max_length = 0
CONF
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"

    pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start
    for script in /docker-init/*.sql; do
        if [ -e "$script" ]; then
            psql --username=postgres --dbname=postgres --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$script"
        fi
    done
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
    touch "$PGDATA/initialised"
}

main "$@"
