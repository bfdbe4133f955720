#!/usr/bin/env bash
# Builds the static binary target/image/nodewright and, where a container
# engine answers, the image `nodewright` from it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=docker/engine.sh
. docker/engine.sh

case "${1:-}" in
    "") ;;
    -h | --help) echo "usage: ./Build.sh    static binary, and the image where an engine answers"; exit 0 ;;
    *) die "unknown argument '$1' (see ./Build.sh --help)" 2 ;;
esac

need_cargo
target=$(host)
# Without debug information: this binary is to be shipped, not profiled.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=symbols \
    cargo build --release --locked --bin nodewright --target "$target" --target-dir target/static >&2
mkdir -p target/image
install -m 755 "target/static/$target/release/nodewright" "$(binary)"
say "built $(binary) ($(du -h "$(binary)" | cut -f1))"

if find_engine; then
    context=$(mktemp -d)
    trap 'rm -rf "$context"' EXIT
    cp "$(binary)" docker/Dockerfile "$context/"
    docker build --quiet --tag "$IMAGE" "$context" >/dev/null
    touch "$STAMP"
    say "built the image $IMAGE"
else
    say "no image: $ENGINE_WHY"
fi
