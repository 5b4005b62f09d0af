# shellcheck shell=sh disable=SC2034 # what is named here, the files that follow use
# What every script of these containers stands on: where things are, how to speak, how to leave.
#
# These files are concatenated, in the order that each program names, and run by `/bin/sh -c`:
# busybox ash in the image, so POSIX sh and nothing more.
set -eu

openemr=${HOSTEMR_OPENEMR:-/var/www/localhost/htdocs/openemr}
root_home=${HOSTEMR_ROOT_HOME:-/root}
pieces=${HOSTEMR_PIECES:-/swarm-pieces}
etc=${HOSTEMR_ETC:-/etc}
apache=${HOSTEMR_APACHE:-apache}
trust_store=${HOSTEMR_TRUST_STORE:-$etc/ssl/certs/ca-certificates.crt}
sites=$openemr/sites
sqlconf=$sites/default/sqlconf.php
certificates=$sites/default/documents/certificates

# Exit statuses. 1 to 4 mean what they mean in every program of hostemr.
FAILED=1         # a step failed: read the line before; running again may help
WRONG_USE=2      # the environment is not what this script needs
UNREACHABLE=3    # database, cache or certificate authority cannot be reached or not be trusted
REFUSED=4        # going on could harm data: a human decides
BUSY=75          # another task is at work, or nothing is installed yet: try again later
LOST_LOCK=76     # the database lock was lost on the way (failover, restart): run again

umask 077
work=$(mktemp -d)

say() {
    printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"
}

# give_up STATUS WORDS: one line, then the end.
give_up() {
    give_up_status=$1
    shift
    say "error: $*"
    exit "$give_up_status"
}

# at_exit COMMAND: to be run before the private files go, the last named first.
leave=''
at_exit() {
    leave="$1; $leave"
}

on_exit() {
    status=$?
    trap - EXIT
    eval "$leave"
    rm -rf "$work"
    exit "$status"
}
trap on_exit EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# Every name of the environment, also where a value holds a line that looks like one.
environment_names() {
    awk 'BEGIN { for (name in ENVIRON) print name }'
}

# The image's own files come back where an empty volume hides them.
restore_etc_ssl() {
    [ ! -f "$etc/ssl/openssl.cnf" ] || return 0
    say "restoring $etc/ssl"
    mkdir -p "$etc/ssl"
    rsync --owner --group --perms --recursive --links "$pieces/ssl/" "$etc/ssl/"
}
