#!/bin/bash
# Fuzzes every target of crates/kakunin-core/fuzz for FUZZ_SECONDS (20), one after the other.
#
# Coverage instrumentation is a stable compiler option and libFuzzer comes with the crate, so neither a nightly
# compiler nor `cargo fuzz` is needed. Without an address sanitizer: core forbids `unsafe`, so what is looked
# for is a panic, an overflow, a hang or memory without bound.
#
# What is found is written to the corpus in target/fuzz and the next run starts from it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=${FUZZ_SECONDS:-20}
package=crates/kakunin-core/fuzz
cargo=${CARGO:-cargo}
output=$target/fuzz
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
-Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 -Cdebuginfo=1"

main() {
    local host name failed=0
    host=$(rustc -vV | sed -n 's/^host: //p')
    # --target keeps the instrumentation out of build scripts and procedural macros.
    stage "compile the fuzz targets" "$cargo" build --quiet --release --manifest-path "$package/Cargo.toml" \
        --target "$host" --target-dir "$output"
    for source in "$package"/fuzz_targets/*.rs; do
        name=$(basename "$source" .rs)
        stage "fuzz $name for $seconds s" fuzz "$output/$host/release/$name" "$name" || failed=$((failed + 1))
    done
    [[ $failed == 0 ]]
}

fuzz() {
    local program=$1 name=$2 log=$output/$2.log seeds=()
    mkdir -p "$output/corpus/$name" "$output/found/$name"
    # Seeds that are kept with the source are read, never written.
    if [[ -d $package/seeds/$name ]]; then
        seeds=("$package/seeds/$name")
    fi
    if ! "$program" "$output/corpus/$name" "${seeds[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=65536 -artifact_prefix="$output/found/$name/" -print_final_stats=1 -verbosity=0 >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "The input that did it is in $output/found/$name."
        return 1
    fi
    printf '    %s inputs tried\n' "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
}

main "$@"
