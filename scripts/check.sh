#!/bin/bash
# What needs no server: the format, the lints, the tidiness of the tree, and the licences of dependencies.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cargo=${CARGO:-cargo}
fuzz=crates/kakunin-core/fuzz/Cargo.toml

stage "format" "$cargo" fmt --all --check
stage "format of the fuzz targets" "$cargo" fmt --manifest-path "$fuzz" --check
# --release, as the extension is built: the bindings to PostgreSQL are then generated once for both.
stage "lints" "$cargo" clippy --release --workspace --all-targets --quiet -- -D warnings
stage "tidiness" "$cargo" test --quiet -p kakunin-tests --test tidy
if command -v shellcheck >/dev/null; then
    stage "scripts" shellcheck -x -P SCRIPTDIR scripts/*.sh bench/*.sh .ci/run
fi
if command -v cargo-deny >/dev/null; then
    stage "licences and advisories" "$cargo" deny check
fi
