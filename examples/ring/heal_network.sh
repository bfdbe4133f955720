#!/usr/bin/env bash
# Has every node look through what it holds, and fetch what is missing.
set -euo pipefail
# shellcheck source=ring.sh
. "$(dirname "${BASH_SOURCE[0]}")/ring.sh"
usage "" "heals the ring" "$@"
UNTIL='^(OK|ERR)'
printf 'NODE HEAL\n' | talk | checked
