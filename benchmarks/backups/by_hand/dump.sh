#!/bin/bash
# A compressed dump in SQL, stored by restic with the sites.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"

case "$1" in
backup)
    mariadb-dump --no-defaults --socket="$SOCKET" --user=root --single-transaction --quick --routines --events \
        --databases openemr | gzip >"$hand/openemr.sql.gz"
    restic_backup work/by-hand/openemr.sql.gz
    ;;
restore)
    restic_restore
    mkdir "$(echo "$ROOT"/generations/*)/database"
    start
    gunzip --stdout "$hand/openemr.sql.gz" | mariadb --no-defaults --socket="$SOCKET" --user=root
    ;;
esac
