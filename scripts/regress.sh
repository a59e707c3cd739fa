#!/bin/bash
# Runs pg_test/ with PostgreSQL's own test drivers: every pg_test/sql/*.sql under pg_regress and every
# pg_test/specs/*.spec under pg_isolation_regress. A new file there is a new test; nothing lists them.
#
#   scripts/regress.sh PG_CONFIG [TEST...]     against the server that PGHOST, PGPORT and PGUSER name
#   scripts/regress.sh --private [TEST...]     on a private cluster, made for this and deleted after it
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
    local which=${1:?PG_CONFIG or --private}
    shift
    if [[ $which == --private ]]; then
        private_postgres
        which=$pg_config
        trap 'scripts/cluster.sh remove regress' EXIT
        scripts/cluster.sh remove regress
        scripts/cluster.sh start regress -c fsync=off
        eval "$(scripts/cluster.sh env regress)"
    fi
    local drivers bindir status=0
    drivers=$("$which" --pkglibdir)/pgxs/src/test
    bindir=$("$which" --bindir)
    # What a person sees without these settings is what the expected files show.
    unset PGOPTIONS PGDATESTYLE PGTZ PGCLIENTENCODING

    run "$drivers/regress/pg_regress" "$bindir" sql "$@" || status=1
    run "$drivers/isolation/pg_isolation_regress" "$bindir" spec "$@" || status=1
    return $status
}

# run DRIVER BINDIR SUFFIX [TEST...]
run() {
    local driver=$1 bindir=$2 suffix=$3 folder=pg_test/sql output=$target/regress tests=()
    shift 3
    if [[ $suffix == spec ]]; then
        folder=pg_test/specs output=$target/isolation
    fi
    discover tests "$folder" "$suffix" "$@"
    if [[ ${#tests[@]} == 0 ]]; then
        return
    fi
    rm -rf "$output"
    mkdir -p "$output"
    if ! "$driver" --bindir="$bindir" --inputdir=pg_test --outputdir="$output" --dbname=kakunin_regression \
        --encoding=UTF8 --no-locale --load-extension=kakunin "${tests[@]}"; then
        if [[ -s $output/regression.diffs ]]; then
            cat "$output/regression.diffs"
        fi
        echo "What came out is in $output/results; if it is right: cp FILE pg_test/expected/"
        return 1
    fi
}

# discover ARRAY FOLDER SUFFIX [TEST...]: the named tests that are in the folder; without names, all of them.
discover() {
    local -n found=$1
    local folder=$2 suffix=$3 file name
    shift 3
    for file in "$folder"/*."$suffix"; do
        [[ -e $file ]] || continue
        name=$(basename "$file" ".$suffix")
        if [[ $# == 0 || " $* " == *" $name "* ]]; then
            found+=("$name")
        fi
    done
}

main "$@"
