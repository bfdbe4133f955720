# shellcheck shell=bash
# What Build.sh, Run.sh and faults.sh share: where things are, what is stale,
# and how the container engine is spoken to. Sourced, not run; the sourcing
# script has changed into the project's directory.

IMAGE=nodewright
STAMP=target/image/built
SECRET=cluster.secret
RECORDS=target/records

say() { printf '%s\n' "$*" >&2; }
die() { say "$1"; exit "${2:-2}"; }

# The tool chain's own name of this machine: a build for it by name keeps
# flags for the binary away from build scripts and macros.
host() { rustc -vV | sed -n 's/^host: //p'; }

# The static binary, the same file that goes into the image.
binary() { echo "target/image/nodewright"; }

# Whether $1 is missing or older than what it is made from.
stale() {
    [ -e "$1" ] || return 0
    [ -n "$(find src docker/Dockerfile Cargo.toml Cargo.lock -newer "$1" -print -quit)" ]
}

need_cargo() {
    command -v cargo >/dev/null 2>&1 ||
        die "cargo is missing: install Rust (https://rustup.rs), then run this again" 2
}

# Whether an engine answers and compose is there; sets COMPOSE.
find_engine() {
    command -v docker >/dev/null 2>&1 || { ENGINE_WHY="docker is not installed"; return 1; }
    timeout 20 docker info >/dev/null 2>&1 || { ENGINE_WHY="no docker engine answers"; return 1; }
    if docker compose version >/dev/null 2>&1; then
        COMPOSE=(docker compose)
    elif command -v docker-compose >/dev/null 2>&1; then
        COMPOSE=(docker-compose)
    else
        ENGINE_WHY="neither 'docker compose' nor 'docker-compose' is installed"
        return 1
    fi
}

compose() { "${COMPOSE[@]}" --project-name nodewright --file docker/compose.yaml "$@"; }

# The image, if it is missing or older than the sources.
need_image() {
    if stale "$STAMP" || ! docker image inspect "$IMAGE" >/dev/null 2>&1; then
        ./Build.sh
    fi
}

# The secret of this project folder, made once; new empty records.
prepare() {
    [ -e "$SECRET" ] || "$(binary)" keygen --secret "$SECRET" >&2
    rm -rf "$RECORDS"
    mkdir -p "$RECORDS"
    NODEWRIGHT_USER="$(id -u):$(id -g)"
    NODEWRIGHT_SECRET="$PWD/$SECRET"
    NODEWRIGHT_RECORDS="$PWD/$RECORDS"
    export NODEWRIGHT_USER NODEWRIGHT_SECRET NODEWRIGHT_RECORDS
}
