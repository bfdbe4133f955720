#!/usr/bin/env bash
# Kills, restarts, pauses, disconnects and reconnects containers of a running
# mesh, waits until each is noticed and survived, and judges the records.
# Waits look at the records on disk, never at log lines or at the clock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=engine.sh
. docker/engine.sh

[ $# -eq 0 ] || die "usage: docker/faults.sh" 2
find_engine || die "cannot trouble containers: $ENGINE_WHY" 2
need_image
prepare
trap 'compose down --timeout 5 >/dev/null 2>&1 || true' EXIT
compose down --timeout 1 >/dev/null 2>&1 || true
compose up --detach --no-build >&2

# A number of the verdict on what is on record so far.
count() {
    "$(binary)" verdict "$RECORDS" --json 2>/dev/null | tail -n 1 | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

# Waits until the command given after what is waited for succeeds.
wait_for() {
    local what=$1 deadline=$((SECONDS + 60))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || die "waited in vain until $what" 1
        sleep 0.3
    done
    say "seen: $what"
}
healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "nodewright-$1")" = healthy ]; }
unhealthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "nodewright-$1")" = unhealthy ]; }
all_healthy() { healthy alpha && healthy beta && healthy gamma && healthy delta; }
above() { [ "$(count "$1")" -gt "$2" ]; }

wait_for "all four containers are healthy" all_healthy

before=$(count suspected)
docker kill nodewright-gamma >/dev/null
wait_for "gamma, killed, is suspected" above suspected "$before"
docker start nodewright-gamma >/dev/null
wait_for "gamma is back as a new life" healthy gamma

before=$(count suspected) restored=$(count restored)
docker pause nodewright-delta >/dev/null
wait_for "delta, paused, is suspected" above suspected "$before"
docker unpause nodewright-delta >/dev/null
wait_for "delta, going on, is restored" above restored "$restored"

before=$(count suspected) restored=$(count restored)
docker network disconnect nodewright-mesh nodewright-beta
wait_for "beta, disconnected, is suspected" above suspected "$before"
wait_for "beta, disconnected, is unhealthy" unhealthy beta
docker network connect --ip 172.28.0.3 nodewright-mesh nodewright-beta
wait_for "beta, connected again, is restored" above restored "$restored"
wait_for "all four containers are healthy again" all_healthy

compose stop --timeout 60 >&2
"$(binary)" verdict "$RECORDS" --nodes 4
