#!/usr/bin/env bash
# Fuzzes each body of src/fuzzing for some seconds, on the stable compiler.
#
#   fuzz/run.sh [SECONDS] [TARGET...]      60 seconds and all targets, if not said
#   fuzz/run.sh --keep TARGET              adds what was learnt to tests/corpus, minimised
#
# Needs cargo and a C++ compiler. What it learns goes to fuzz/corpus, an input
# that breaks a promise to fuzz/artifacts. `cargo fuzz run TARGET` works too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

ALL=(frames records handshake messages config history query images stego ring simulation)
# What cargo-fuzz asks of the compiler, without the sanitizers that only a
# nightly one has: no unsafe code is there for them to look at.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"

built() { echo "target/$HOST/release/$1"; }
HOST=$(rustc -vV | sed -n 's/^host: //p')
build() { cargo build --release --quiet --target "$HOST" --bin "$1"; }

if [ "${1:-}" = --keep ]; then
    target=$2 kept=../tests/corpus/$2
    build "$target"
    mkdir -p "corpus/$target"
    "$(built "$target")" -merge=1 -max_len=2048 "$kept" "corpus/$target"
    exit
fi

seconds=60
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
for target in "${@:-${ALL[@]}}"; do
    build "$target"
    mkdir -p "corpus/$target" artifacts
    echo "=== $target, $seconds s ==="
    "$(built "$target")" -max_total_time="$seconds" -max_len=4096 -timeout=20 -artifact_prefix="artifacts/$target-" \
        -print_final_stats=1 "corpus/$target" "../tests/corpus/$target"
done
