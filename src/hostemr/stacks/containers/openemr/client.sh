# shellcheck shell=sh disable=SC2154,SC2034 # after shared/database.sh, places.sh
# The database client of OpenEMR's image: mariadb.

database_ca=$root_home/certs/mysql/server/mysql-ca

client_run() {
    mariadb --defaults-file="$1" --batch --skip-column-names --skip-reconnect
}

# Sets lock_answer and lock_connection.
client_lock() {
    rm -f "$work/lock.in" "$work/lock.out"
    mkfifo "$work/lock.in"
    : >"$work/lock.out"
    # A reconnected session would have lost the lock without knowing: so it may not reconnect.
    mariadb --defaults-file="$1" --batch --skip-column-names --skip-reconnect --unbuffered \
        <"$work/lock.in" >"$work/lock.out" 2>"$work/lock.error" &
    lock_pid=$!
    exec 9>"$work/lock.in"
    printf "SET SESSION wait_timeout = 604800;\nSELECT GET_LOCK('%s', %s), CONNECTION_ID();\n" "$2" "$3" >&9
    until [ -s "$work/lock.out" ]; do
        kill -0 "$lock_pid" 2>/dev/null || break
        sleep 0.1
    done
    read -r lock_answer lock_connection <"$work/lock.out" || :
}

client_unlock() {
    exec 9>&-
    kill "$lock_pid" 2>/dev/null || :
    wait "$lock_pid" 2>/dev/null || :
}
