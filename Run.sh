#!/usr/bin/env bash
# Brings up a mesh of four nodes: in containers where an engine answers, else
# as processes of this machine. Builds what is missing or older than the
# sources. Ends with a verdict computed from the nodes' own records.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=docker/engine.sh
. docker/engine.sh

usage() {
    cat <<'TEXT'
usage: ./Run.sh [--for TIME] [--json] [--local [ARGUMENTS...]]

  --for TIME   end after this time (20s, 5m) with a verdict; without it, Ctrl-C ends the mesh
  --json       one JSON object a line, the verdict last
  --local      processes on this machine even where an engine answers; further arguments go to `nodewright mesh`

Exit status: 0 verdict ok, 1 verdict failed, 2 wrong usage
TEXT
}

run_for="" json=() local_only="" more=()
while [ $# -gt 0 ]; do
    case "$1" in
        --for) [ $# -ge 2 ] || die "--for needs a time, as in --for 20s" 2; run_for=$2; shift 2 ;;
        --for=*) run_for=${1#--for=}; shift ;;
        --json) json=(--json); shift ;;
        --local) local_only=1; shift; more=("$@"); break ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown argument '$1' (see ./Run.sh --help)" 2 ;;
    esac
done
[[ "$run_for" =~ ^([0-9]+(\.[0-9]+)?(s|m|h))?$ ]] || die "--for $run_for: write 20s, 5m or 1h" 2

if [ -n "$local_only" ] || ! find_engine; then
    if [ -z "$local_only" ]; then
        say "=================================================================="
        say "  $ENGINE_WHY:"
        say "  the four nodes run as PROCESSES ON THIS MACHINE, not in containers"
        say "=================================================================="
    fi
    if stale "$(binary)"; then
        need_cargo
        ./Build.sh
    fi
    exec "$(binary)" mesh --for "${run_for:-8760h}" "${json[@]}" "${more[@]}"
fi

need_image
prepare

# Shows a container's log lines, also those of its later lives.
follow() {
    local since=0
    while :; do
        docker logs --follow --since "$since" "$1" 2>&1
        since=$(date +%s)
        docker events --since "$since" --filter "container=$1" --filter event=start --format started | head -n 1 >/dev/null
    done
}

followers=()
down() {
    trap - EXIT
    trap '' INT TERM
    for follower in "${followers[@]}"; do kill -- "-$follower" 2>/dev/null || true; done
    compose down --timeout 5 >/dev/null 2>&1 || true
}
trap down EXIT
# What a run that was cut short left behind would keep the names.
compose down --timeout 1 >/dev/null 2>&1 || true
compose up --detach --no-build >&2
if [ ${#json[@]} -eq 0 ]; then
    set -m # followers get process groups of their own: Ctrl-C is not for them
    for name in alpha beta gamma delta; do
        follow "nodewright-$name" &
        followers+=($!)
    done
    set +m
    say "four nodes in containers nodewright-alpha .. -delta; trouble them by 'docker kill|pause|...'; Ctrl-C ends"
fi

# Ctrl-C ends the waiting; the nodes are then stopped in order and judged.
trap 'kill "${wait:-}" 2>/dev/null || true' INT TERM
sleep "${run_for:-infinity}" &
wait=$!
wait "$wait" || true
trap '' INT TERM

# A node that is paused or stopped by hand cannot be asked to stop.
for name in alpha beta gamma delta; do
    docker unpause "nodewright-$name" >/dev/null 2>&1 || true
done
compose stop --timeout 60 >&2
status=0
"$(binary)" verdict "$RECORDS" --nodes 4 "${json[@]}" || status=$?
down
exit "$status"
