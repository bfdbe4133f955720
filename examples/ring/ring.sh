# shellcheck shell=bash
# What the scripts share: the flags -h HOST, -p PORT, -f FILE, and talking to a
# node or a gateway with netcat, or with bash's own sockets where there is none.
# Sourced, not run.

HOST=127.0.0.1 PORT=8000 FILE=

# usage NEEDS_FILE "what it does": reads the flags of the script.
usage() {
    local needs_file=$1 does=$2
    shift 2
    local help="usage: $(basename "$0") [-h HOST] [-p PORT]${needs_file:+ -f FILE}    $does (default $HOST:$PORT)"
    while [ $# -gt 0 ]; do
        case "$1" in
            -h | -p | -f) [ $# -ge 2 ] || { echo "$help" >&2; exit 2; } ;;&
            -h) HOST=$2; shift 2 ;;
            -p) PORT=$2; shift 2 ;;
            -f) FILE=$2; shift 2 ;;
            *) echo "$help" >&2; exit 2 ;;
        esac
    done
    if [ -n "$needs_file" ] && [ -z "$FILE" ]; then
        echo "$help" >&2
        exit 2
    fi
}

# Says standard input to the ring and prints all that is answered.
talk() {
    if command -v nc >/dev/null 2>&1; then
        # -N (OpenBSD) ends what is said at the end of the input; others do so by themselves
        if nc -h 2>&1 | grep -q -- '-N'; then nc -N "$HOST" "$PORT"; else nc "$HOST" "$PORT"; fi
    else
        # bash cannot end one direction of a socket, so the line that matches
        # UNTIL, the last one that is awaited, ends the talk
        exec 3<>"/dev/tcp/$HOST/$PORT"
        cat >&3
        if [ -z "${UNTIL:-}" ]; then
            cat <&3
        else
            local line
            while IFS= read -r line <&3; do
                printf '%s\n' "$line"
                if [[ $line =~ $UNTIL ]]; then break; fi
            done
        fi
        exec 3>&-
    fi
}

# Prints what comes; fails where the answer is an error line.
checked() {
    local answer
    answer=$(cat)
    printf '%s\n' "$answer"
    case "$answer" in "" | ERR* | *$'\n'ERR*) return 1 ;; esac
}
