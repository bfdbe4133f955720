#!/usr/bin/env bash
# Lists the ring's files as CSV.
set -euo pipefail
# shellcheck source=ring.sh
. "$(dirname "${BASH_SOURCE[0]}")/ring.sh"
usage "" "lists the files as CSV" "$@"
printf 'FILE LIST\n' | talk | checked
