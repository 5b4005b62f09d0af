#!/bin/bash
# As restic.sh, with increments of mariadb-backup's after the first copy, each on the one before; all are kept.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"

case "$1" in
backup)
    mkdir -p "$hand/copies"
    number=$(find "$hand/copies" -mindepth 1 -maxdepth 1 | wc -l)
    if [ "$number" = 0 ]; then
        copy "$hand/copies/0"
    else
        copy "$hand/copies/$number" --incremental-basedir="$hand/copies/$((number - 1))"
    fi
    restic_backup work/by-hand/copies
    ;;
restore)
    restic_restore
    prepare "$hand/copies/0"
    for ((number = 1; ; number++)); do
        [ -d "$hand/copies/$number" ] || break
        prepare "$hand/copies/0" --incremental-dir="$hand/copies/$number"
    done
    mv "$hand/copies/0" "$(echo "$ROOT"/generations/*)/database"
    start
    ;;
esac
