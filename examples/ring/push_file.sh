#!/usr/bin/env bash
# Stores a file in the ring, under the last part of its path.
set -euo pipefail
# shellcheck source=ring.sh
. "$(dirname "${BASH_SOURCE[0]}")/ring.sh"
usage file "stores FILE" "$@"
UNTIL='^(OK |ERR )'
{
    printf 'FILE PUSH %s %s\n' "$(wc -c <"$FILE" | tr -d ' ')" "$(basename "$FILE")"
    cat "$FILE"
} | talk | checked
