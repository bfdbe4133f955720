#!/usr/bin/env bash
# Shows which nodes of the ring are alive.
set -euo pipefail
# shellcheck source=ring.sh
. "$(dirname "${BASH_SOURCE[0]}")/ring.sh"
usage "" "shows the nodes' states" "$@"
UNTIL='^(OK|ERR)'
printf 'NETMAP GET\n' | talk | checked
