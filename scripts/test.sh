#!/bin/bash
# Everything that checks the project, in the order in which a failure says most. The last line is
# "N passed, N failed", summed over all runners; a stage that could not run counts as one failure.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cargo=${CARGO:-cargo}

main() {
    passed=0 failed=0
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT

    # Without nextest the same tests run, a binary at a time.
    if "$cargo" nextest --version >/dev/null 2>&1; then
        run=("$cargo" nextest run --no-fail-fast --status-level fail --final-status-level fail --hide-progress-bar)
    else
        run=("$cargo" test --no-fail-fast --quiet)
    fi

    counted "core, without a server" "${run[@]}" -p kakunin-core
    counted "verifier of exports" "${run[@]}" -p kakunin-verify

    if stage "build and install into the private PostgreSQL" make --no-print-directory private; then
        counted "installer" "${run[@]}" -p xtask
        counted "pg_regress" scripts/regress.sh --private
        counted "clusters, poolers, gateways" "${run[@]}" -p kakunin-tests
    else
        failed=$((failed + 1))
    fi

    printf '\n%d passed, %d failed\n' "$passed" "$failed" | tee "$target/test-counts"
    [[ $failed == 0 ]]
}

# counted TEXT COMMAND...: a stage whose output is shown and counted.
counted() {
    local text=$1 status=0 ok bad
    shift
    : >"$log"
    stage "$text" logged "$@" || status=$?
    read -r ok bad < <(count <"$log")
    if [[ $status != 0 && $bad == 0 ]]; then
        bad=1
    fi
    passed=$((passed + ok)) failed=$((failed + bad))
}

logged() {
    "$@" 2>&1 | tee "$log"
}

# Sums what the runners say. nextest: "Summary [ 1.2s] 9 tests run: 7 passed, 1 failed, 1 timed out, 0 skipped";
# cargo test: "test result: ok. 9 passed; 0 failed; ..."; pg_regress: "test name ... ok", or "ok 1 - name" since 16.
count() {
    sed -E 's/\x1b\[[0-9;]*m//g' | awk '
        / tests? run: / {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) ok += $(i - 1)
                if ($i ~ /^failed/) bad += $(i - 1)
                if ($i ~ /^timed/) bad += $(i - 1)
            }
            next
        }
        /^test result: / {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed;/) ok += $(i - 1)
                if ($i ~ /^failed;/) bad += $(i - 1)
            }
            next
        }
        /^test [a-z0-9_]+ +\.\.\. ok/ || /^ok [0-9]+/ { ok++ }
        /^test [a-z0-9_]+ +\.\.\. FAILED/ || /^not ok [0-9]+/ { bad++ }
        END { print ok + 0, bad + 0 }'
}

main "$@"
