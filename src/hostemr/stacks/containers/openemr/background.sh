# shellcheck shell=sh disable=SC2154 # after ground.sh, sqlconf.sh, database.sh
# A companion of each web task: runs OpenEMR's background services although nobody is logged in,
# in one task of all at a time. It ends with SIGTERM.

child=''
# shellcheck disable=SC2034 # client_file reads it
database_ca=$certificates/mysql-ca
at_exit 'stop_child'

stop_child() {
    [ -z "$child" ] || kill "$child" 2>/dev/null || :
}

# services COMMAND…: its output is dropped, since it may name patients; its status stays.
services() {
    (
        umask 022
        cd "$openemr" || exit 1
        as_apache "$limit" "$@"
    ) >/dev/null 2>&1 9>&- &
    child=$!
    services_status=0
    # Waited for, and not run in the foreground: so that SIGTERM is heeded at once.
    wait "$child" || services_status=$?
    child=''
    return "$services_status"
}

run_services() {
    if [ -f "$openemr/bin/console" ] && services php bin/console background:services run; then
        return 0
    fi
    # The older way, still there in newer images, whose command may want the name of one service.
    [ "${services_status:-0}" != 124 ] || return 124
    services php -f library/ajax/execute_background_services.php default
}

one_round() {
    # Read each time: rotation changes it.
    sqlconf_read
    if [ "$conf_state" != 1 ]; then
        say "background: OpenEMR is not configured ($conf_state)"
        return 0
    fi
    client_file "$work/client.cnf" "$conf_login" "$conf_pass" "$conf_host" "$conf_port"
    if session_lock "$work/client.cnf" hostemr-background 0; then
        services_status=0
        run_services || say "background: the services ended with status $services_status"
        session_unlock
    elif [ "$lock_answer" != 0 ]; then
        say "background: no database session: $(sed "s/ near '.*//" "$work/lock.error" | head -n 1)"
    fi
}

interval=${BACKGROUND_INTERVAL_SECONDS:-60}
limit=${BACKGROUND_LIMIT_SECONDS:-900}
say "background services every $interval s"
while :; do
    one_round
    sleep "$interval" &
    child=$!
    wait "$child"
done
