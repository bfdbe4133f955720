#!/usr/bin/env bash
# Brings up a ring of five nodes and a gateway in containers, stores files, and
# kills, pauses, disconnects a container and wipes a node's data: after each the
# files are read back whole, and in the end every part has its copies again.
# With --keep the ring is only brought up, and stays until Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=engine.sh
. docker/engine.sh

keep=""
case "${1:-}" in
    "") ;;
    --keep) keep=1 ;;
    *) die "usage: docker/ring.sh [--keep]" 2 ;;
esac
find_engine || die "cannot run a ring in containers: $ENGINE_WHY" 2
need_image
prepare
GATEWAY=172.29.0.10:8000
NODEWRIGHT_TOKEN="$PWD/target/ring.token"
NODEWRIGHT_DATA="$PWD/target/ring-data"
export NODEWRIGHT_TOKEN NODEWRIGHT_DATA
ring_compose() { "${COMPOSE[@]}" --project-name nodewright-ring --file docker/ring.yaml "$@"; }
trap 'ring_compose down --timeout 5 >/dev/null 2>&1 || true' EXIT
ring_compose down --timeout 1 >/dev/null 2>&1 || true
rm -rf "$NODEWRIGHT_DATA"
mkdir -p "$NODEWRIGHT_DATA"/{0,1,2,3,4}
head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$NODEWRIGHT_TOKEN"
ring_compose up --detach --no-build >&2

ring() { "$(binary)" ring "$@" --at "$GATEWAY" --token-file "$NODEWRIGHT_TOKEN" --within 30s; }
wait_for() {
    local what=$1 deadline=$((SECONDS + 120))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || die "waited in vain until $what" 1
        sleep 0.5
    done
    say "seen: $what"
}
alive() { [ "$(ring status --files 0 --json 2>/dev/null | grep -o '"state":"Alive"' | wc -l)" -eq "$1" ]; }
whole() { ring status >/dev/null 2>&1 && ! ring status --json | grep -q '"short_of_copies":[1-9]'; }

work=$(mktemp -d)
trap 'ring_compose down --timeout 5 >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
wait_for "all five nodes are alive" alive 5
if [ -n "$keep" ]; then
    say "the gateway is at $GATEWAY; its token: $NODEWRIGHT_TOKEN; Ctrl-C ends the ring"
    sleep infinity || true
    exit 0
fi

for n in 1 2 3; do
    head -c $((n * 3000017)) /dev/urandom >"$work/file-$n"
    ring push "$work/file-$n" >&2
done
reads() {
    local n
    for n in 1 2 3; do
        ring pull "file-$n" --output "$work/back" >/dev/null || return 1
        cmp -s "$work/file-$n" "$work/back" || die "file-$n came back changed" 1
    done
}

# What a stranger hears who does not have the token.
stranger() {
    local line
    exec 3<>/dev/tcp/172.29.0.2/7000
    printf '%s\n' "$1" >&3
    IFS= read -r -t 10 line <&3 || true
    exec 3>&-
    echo "$line"
}
for said in "FILE LIST" "FILE PULL file-1" "AUTH $(printf 'x%.0s' {1..48})"; do
    heard=$(stranger "$said")
    [[ "$heard" == "ERR AUTH"* ]] || die "a stranger says '$said' and hears '$heard'" 1
done
say "seen: strangers are refused"

docker kill nodewright-ring-1 >/dev/null
wait_for "the files are read without node 1, killed" reads
docker start nodewright-ring-1 >/dev/null
wait_for "all five nodes are alive again" alive 5

docker pause nodewright-ring-2 >/dev/null
wait_for "the files are read past node 2, paused" reads
docker unpause nodewright-ring-2 >/dev/null
wait_for "all five nodes are alive again" alive 5

docker network disconnect nodewright-ring nodewright-ring-3
wait_for "the files are read without node 3, disconnected" reads
docker network connect --ip 172.29.0.5 nodewright-ring nodewright-ring-3
wait_for "all five nodes are alive again" alive 5

docker kill nodewright-ring-4 >/dev/null
rm -rf "${NODEWRIGHT_DATA:?}/4"
mkdir "$NODEWRIGHT_DATA/4"
docker start nodewright-ring-4 >/dev/null
wait_for "the files are read while node 4, wiped, refills" reads
wait_for "every part has all its copies again" whole
ring status >&2
say "ring ok: killed, paused, disconnected, wiped; 3 files read back whole after each"
