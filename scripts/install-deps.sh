#!/bin/bash
# Installs what the project needs from Debian's packages, and nothing when all of it is there.
#
#   scripts/install-deps.sh demo     what `make build`, `make install` and `make demo` need
#   scripts/install-deps.sh test     the same and what `make test` needs beside it
#   scripts/install-deps.sh list     print both lists with the reasons
#
# Uses sudo only when not root. No PostgreSQL cluster is made, started, stopped or changed, and no service
# that comes with a package is started: the project runs servers of its own, in its own directories.
set -euo pipefail

major=15

# One line for each package: its set, its name, how to tell that it is there, and what it is for.
# "-" asks dpkg for the package; anything else is a shell test, so that the same program from elsewhere
# (a node from its makers, say) counts.
packages() {
    cat <<LIST
demo build-essential|command -v cc && command -v g++ && command -v make|links the library and compiles its C shim
demo postgresql-$major|-|the server that the extension runs in
demo postgresql-server-dev-$major|-|pg_config and the server's headers, which the bindings are generated from
demo libclang-14-dev|-|reads those headers for the bindings
demo libssl-dev|-|headers for reading the client certificate of a TLS connection
demo openssl|command -v openssl|makes the certificates of the demo and of the tests
test ca-certificates|test -s /etc/ssl/certs/ca-certificates.crt|lets pip and npm trust their registries
test pgbouncer|command -v pgbouncer|the connection pooler that bindings are tested behind
test nodejs|command -v node|runs supabase-js, the client that gateway bindings are tested with
test npm|command -v npm|fetches supabase-js and PostgREST
test python3-venv|python3 -c 'import ensurepip, venv'|fetches PyJWT, which makes proofs that are not our own
LIST
}

main() {
    local set=${1:-}
    case $set in
        demo | test) ;;
        list) packages | sed -E 's/\|.*\|/: /' && exit ;;
        *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac

    local missing=() line name there why
    while IFS='|' read -r line there why; do
        name=${line#* }
        [[ ${line%% *} == demo || $set == test ]] || continue
        if ! present "$name" "$there"; then
            printf '  missing: %-28s %s\n' "$name" "$why"
            missing+=("$name")
        fi
    done < <(packages)

    if [[ ${#missing[@]} -gt 0 ]]; then
        install "${missing[@]}"
    fi
    require_rust
}

present() {
    case $2 in
        -) [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]] ;;
        *) bash -c "$2" >/dev/null 2>&1 ;;
    esac
}

install() {
    if ! command -v apt-get >/dev/null; then
        echo "This is not Debian: install the equivalents of the packages above." >&2
        exit 1
    fi
    if [[ $(id -u) != 0 ]]; then
        if ! command -v sudo >/dev/null; then
            echo "Not root, and there is no sudo: as root, run: apt-get install $*" >&2
            exit 1
        fi
        echo "  sudo is used to install them:"
        sudo=(sudo)
    fi
    echo "  apt-get install $*"
    trap restore EXIT
    apt update
    forbid_services
    case " $* " in
        *" postgresql-$major "*) forbid_main_cluster ;;
    esac
    if ! apt install "$@"; then
        echo "apt-get cannot install them. They are packages of Debian 12; on another release, name their equivalents." >&2
        exit 1
    fi
    case " $* " in
        # The package enables its service for the next boot; the tests start poolers of their own.
        *" pgbouncer "*) as_root update-rc.d pgbouncer disable >/dev/null 2>&1 || true ;;
    esac
    restore
}

# A package's scripts ask this file before they start a service. It is ours for the moment of the installation,
# unless there is one already, as in most containers.
forbid_services() {
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\n# kakunin: made while packages are installed\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        policy_is_ours=yes
    fi
}

# The server's package makes a cluster named "main" on first installation, unless this setting says no. The
# file comes with postgresql-common, so that goes in first; it gets its old content back at the end.
forbid_main_cluster() {
    apt install postgresql-common
    if [[ -e $settings ]]; then
        as_root cp -p "$settings" "$settings.kakunin"
    fi
    echo "create_main_cluster = false" | as_root tee -a "$settings" >/dev/null
    settings_are_ours=yes
}

restore() {
    if [[ $policy_is_ours == yes ]]; then
        as_root rm -f "$policy"
        policy_is_ours=no
    fi
    if [[ $settings_are_ours == yes ]]; then
        if [[ -e $settings.kakunin ]]; then
            as_root mv "$settings.kakunin" "$settings"
        else
            as_root rm -f "$settings"
        fi
        settings_are_ours=no
    fi
}

# Quiet while all goes well; the whole output when it does not. --no-upgrade: what is there stays as it is.
apt() {
    local verb=$1 log options=(-q -y -o DPkg::Lock::Timeout=300)
    shift
    [[ $verb == update ]] || options+=(--no-install-recommends --no-upgrade)
    log=$(mktemp)
    if ! as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
        apt-get "${options[@]}" "$verb" "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

as_root() {
    "${sudo[@]}" "$@"
}

# rustup chooses where a toolchain goes and whose it is: not for a script to decide.
require_rust() {
    if ! command -v "${CARGO:-cargo}" >/dev/null; then
        echo "Rust is missing. Install it with rustup (https://rustup.rs) and open a new shell." >&2
        exit 1
    fi
}

sudo=()
policy=/usr/sbin/policy-rc.d policy_is_ours=no
settings=/etc/postgresql-common/createcluster.conf settings_are_ours=no
main "$@"
