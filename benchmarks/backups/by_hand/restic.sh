#!/bin/bash
# Full copies of the database by mariadb-backup, stored by restic with the sites; prepared when they are restored.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"

case "$1" in
backup)
    rm -rf "$hand/database"
    copy "$hand/database"
    restic_backup work/by-hand/database
    ;;
restore)
    restic_restore
    prepare "$hand/database"
    mv "$hand/database" "$(echo "$ROOT"/generations/*)/database"
    start
    ;;
esac
