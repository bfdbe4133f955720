#!/usr/bin/env bash
# Fetches a file from the ring and writes it to standard output. The protocol has
# no mark for an error before the bytes, so a file that begins with "ERR " is
# told from an error by `nodewright ring pull`, not by this.
set -euo pipefail
# shellcheck source=ring.sh
. "$(dirname "${BASH_SOURCE[0]}")/ring.sh"
usage file "writes FILE to standard output" "$@"
printf 'FILE PULL %s\n' "$FILE" | talk
