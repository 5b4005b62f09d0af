#!/bin/sh
# Restores OpenEMR from its backups. Without --confirm it only says what that means.
set -eu

usage() {
    cat <<'TEXT'
WARNING: a restore replaces the records that this server holds now.

Everything that was entered since the backup which you restore will be missing: patients, visits, documents.
Before you go on:

  1. If the server still runs, tell everybody to stop working in OpenEMR.
  2. Make a snapshot of the data volume, if possible: in the EC2 console, Volumes, Create snapshot.
  3. Look at what can be restored:     hostemr-host points

Then run this again, as root:

  /root/restore.sh --confirm                                   the newest backup
  /root/restore.sh --confirm --time 2026-11-20T12:00:00Z       as it was at a moment

The backup is fetched, verified and started on its own before anything is touched. The present data is kept beside
the restored for some days, and put back by itself if the restored data does not start. An interrupted restore can
be run again. A session that ends takes the restore with it, and the data from before stays: for a long one, begin the
line with `nohup`, or run it inside `tmux`.
TEXT
}

[ "$(id -u)" = 0 ] || {
    echo "error: only root may restore; try: sudo /root/restore.sh" >&2
    exit 2
}
for word in "$@"; do
    [ "$word" != --confirm ] || exec /usr/local/bin/hostemr-host restore "$@"
done
usage
exit 1
