# shellcheck shell=sh disable=SC2154 # after accounts.sh
# The set-up task: what touches database or files, one task at a time.
#
#   SETUP_MODE=configure    first installation, upgrade, settings (the default)
#   SETUP_MODE=credentials  change to the other of the two database users
#
# Exit status is 0 done, 1 a step failed, 2 the environment is wrong, 3 the database cannot be reached or trusted,
# 4 refused to harm data, 75 another task is at work or nothing is installed, 76 the lock was lost on the way.
# After 1, 3, 75 and 76 the same task can be run again; it may also be killed at any moment and run again.

# Into $work/authority. The authority's certificate comes with the task; the address is for a region that has another one.
fetch_authority() {
    if [ -n "${DATABASE_CA:-}" ]; then
        printf '%s\n' "$DATABASE_CA" >"$work/authority"
    else
        curl --silent --show-error --fail --location --proto =https --max-time 60 --retry 3 \
            --cacert "$trust_store" --output "$work/authority" "$DATABASE_CA_URL" ||
            give_up "$UNREACHABLE" "the database's authority cannot be fetched from DATABASE_CA_URL"
    fi
}

take_lock() {
    say "taking the lock"
    session_lock "$master" hostemr-setup "${SETUP_LOCK_SECONDS:-60}" || case $lock_answer in
        0) give_up "$BUSY" "another set-up task is at work; try again when it has ended" ;;
        *) give_up "$UNREACHABLE" "the database ended the session that was to hold the lock" ;;
    esac
    at_exit session_unlock
}
