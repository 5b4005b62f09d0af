#!/bin/bash
# As the original Express Plus does: a tar.gz of each of mariadb-backup's copies and increments, kept beside the
# uncompressed last one, and Duplicity with the options that the original gives it.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"

GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill gpg-agent; rm -rf "$GNUPGHOME"' EXIT
url="boto3+s3://$BUCKET/Backup"
options=(--archive-dir "$hand/archive" --s3-endpoint-url "$ENDPOINT" --s3-region-name "$AWS_DEFAULT_REGION")
stored="$hand/sqlbackup/bkps"

case "$1" in
backup)
    mkdir -p "$hand/copies" "$stored"
    number=$(find "$stored" -name '*.tar.gz' | wc -l)
    if [ "$number" = 0 ]; then
        copy "$hand/copies/0"
    else
        copy "$hand/copies/$number" --incremental-basedir="$hand/copies/$((number - 1))"
    fi
    tar --create --gzip --file "$stored/$number.tar.gz" --directory "$hand/copies" "$number"
    [ "$number" = 0 ] || rm -rf "$hand/copies/$((number - 1))"
    duplicity --full-if-older-than 7D "${options[@]}" --include "$hand/sqlbackup" \
        --include "$ROOT/$GENERATION/sites" --include "$ROOT/$GENERATION/certificates" --exclude '**' "$ROOT" "$url"
    duplicity remove-all-but-n-full 2 --force "${options[@]}" "$url"
    ;;
restore)
    duplicity restore --force "${options[@]}" "$url" "$hand/fetched"
    mv "$hand/fetched/generations" "$ROOT/generations"
    stored="$hand/fetched/work/by-hand/sqlbackup/bkps"
    mkdir "$hand/copies"
    for archive in "$stored"/*.tar.gz; do
        tar --extract --gzip --file "$archive" --directory "$hand/copies"
    done
    prepare "$hand/copies/0"
    for ((number = 1; ; number++)); do
        [ -d "$hand/copies/$number" ] || break
        prepare "$hand/copies/0" --incremental-dir="$hand/copies/$number"
    done
    mv "$hand/copies/0" "$(echo "$ROOT"/generations/*)/database"
    start
    ;;
esac
