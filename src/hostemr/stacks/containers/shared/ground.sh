# shellcheck shell=sh disable=SC2034,SC2154 # what is named here, the files that follow use; check assigns by eval
# What every script of every container stands on: how to speak, how to leave, how to judge the environment.
#
# These files are concatenated, in the order that each program names, and run by `/bin/sh -c`:
# busybox ash in one image, bash in another, so POSIX sh and nothing more.
set -eu

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

# check NAME PATTERN: collects what is wrong with the environment, without showing a value.
wrong=''
check() {
    eval "checked=\${$1:-}"
    { printf '%s' "$checked" | tr '\n' '\001' && echo; } | LC_ALL=C grep -Eq "^($2)\$" || wrong="$wrong $1"
}
