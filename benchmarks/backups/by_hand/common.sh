# What every operator has at hand. Sourced; the benchmark sets the variables that are used and not set here:
# ROOT (the data volume), GENERATION (the folder of database and sites on it), SOCKET and DATADIR (the running MariaDB),
# ENDPOINT and BUCKET (the S3), PASSPHRASE, and the keys of the S3.
# shellcheck shell=bash
set -euo pipefail
hand="$ROOT/work/by-hand"
mkdir -p "$hand"
export RESTIC_REPOSITORY="s3:$ENDPOINT/$BUCKET/restic" RESTIC_PASSWORD="$PASSPHRASE" RESTIC_CACHE_DIR="$hand/cache"

# A physical copy of the running server: copy FOLDER [OPTION…]
copy() {
    local target=$1
    shift
    mariadb-backup --no-defaults --socket="$SOCKET" --datadir="$DATADIR" --user=root --backup \
        --target-dir="$target" "$@"
}

# Make a copy consistent: prepare FOLDER [OPTION…]
prepare() {
    local target=$1
    shift
    mariadb-backup --prepare --use-memory=128M --target-dir="$target" "$@"
}

# Stored below the root, whatever its path is on another server.
restic_backup() {
    restic cat config >/dev/null 2>&1 || restic --quiet init
    (cd "$ROOT" && restic --quiet backup "$@" "$GENERATION/sites" "$GENERATION/certificates")
}

restic_restore() {
    restic --quiet restore latest --target "$ROOT"
}

# Serve what lies in the generation that was restored.
start() {
    local only
    only=$(cd "$ROOT" && echo generations/*)
    ln -s "$only" "$ROOT/current"
    docker compose --project-name openemr --file compose.yaml up --detach --wait --wait-timeout 600 mysql
}
