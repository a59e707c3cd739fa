# shellcheck shell=bash disable=SC2034
# Shared by the scripts beside it: where things are, and how a server is run. Sourced, not executed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit
target=${CARGO_TARGET_DIR:-$root/target}
xtask=$target/debug/xtask

# The programs of the private PostgreSQL and the directory of its clusters; made on first use.
private_postgres() {
    if [[ ! -x $xtask ]]; then
        echo "Nothing is built yet: run make build." >&2
        return 1
    fi
    base=$("$xtask" base)
    pg_config=$("$xtask" pgtree --pg-config "${PGRX_PG_CONFIG_PATH:-}")
    bin=${pg_config%/*}
}

# Options of cargo for the major version that is built for. The features of Cargo.toml are pg15, the default, and so on.
features() {
    local major
    major=$("${PGRX_PG_CONFIG_PATH:-pg_config}" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
    if [[ $major != 15 ]]; then
        echo "--no-default-features --features kakunin/pg$major"
    fi
}

# Runs a server program: never as root, which PostgreSQL refuses, and without the caller's environment.
# RUST_BACKTRACE would put a backtrace into the DETAIL of an error; PG* would change what psql connects to.
as_server() {
    local command=(env -i PATH=/usr/bin:/bin LC_ALL=C TZ=UTC "$@")
    if [[ $(id -u) == 0 ]]; then
        command=(setpriv --reuid=postgres --regid=postgres --clear-groups "${command[@]}")
    fi
    (cd / && "${command[@]}")
}

# A directory that only the server's user can enter.
server_directory() {
    mkdir -p "$1"
    chmod 700 "$1"
    if [[ $(id -u) == 0 ]]; then
        chown postgres:postgres "$1"
    fi
}

# stage TEXT COMMAND...: says what is being done, does it, says how long it took.
stage() {
    local text=$1 started=$SECONDS status=0
    shift
    printf '==> %s\n' "$text"
    "$@" || status=$?
    if [[ $status == 0 ]]; then
        printf '    %s: %d s\n' "$text" $((SECONDS - started))
    else
        printf '    %s: FAILED after %d s\n' "$text" $((SECONDS - started))
    fi
    return $status
}
