# shellcheck shell=sh disable=SC2154 # after ground.sh
# The database client: TLS always, the server's certificate and name verified, passwords never among arguments.

database_ca=$root_home/certs/mysql/server/mysql-ca

# client_file FILE USER PASSWORD HOST PORT: an option file for this session only.
client_file() {
    # Quotes and backslashes as MariaDB's option files want them: RDS makes passwords of all printable characters.
    client_password=$(printf '%s' "$3" | sed 's/\\/\\\\/g; s/"/\\"/g')
    printf '[client]\nuser=%s\npassword="%s"\nhost=%s\nport=%s\n' "$2" "$client_password" "$4" "$5" >"$1"
    printf 'ssl-ca=%s\nssl-verify-server-cert\nconnect-timeout=10\ndefault-character-set=utf8mb4\n' \
        "$database_ca" >>"$1"
}

# sql_as OPTION_FILE STATEMENTS: rows, tab-separated. Errors are said without the statement's text,
# which may hold a password.
sql_as() {
    printf '%s\n' "$2" |
        mariadb --defaults-file="$1" --batch --skip-column-names --skip-reconnect 2>"$work/sql.error" && return 0
    sed "s/ near '.*//; s/^/database: /" "$work/sql.error" >&2
    return 1
}

# database_wait OPTION_FILE: an Aurora cluster resumes from zero capacity in about half a minute.
database_wait() {
    wait_until=$(($(date +%s) + ${DATABASE_WAIT_SECONDS:-300}))
    wait_pause=1
    until sql_as "$1" 'SELECT 1' >/dev/null 2>"$work/wait.error"; do
        # 1045: a wrong password; 2026: a certificate that is not to be trusted. Waiting mends neither.
        if grep -Eq 'ERROR (1045|2026)' "$work/sql.error"; then
            give_up "$UNREACHABLE" "the database does not let us in: $(head -n 1 "$work/sql.error")"
        fi
        [ "$(date +%s)" -lt "$wait_until" ] ||
            give_up "$UNREACHABLE" "no database at $MYSQL_HOST:$MYSQL_PORT: $(head -n 1 "$work/sql.error")"
        say "waiting for the database"
        sleep "$wait_pause"
        [ "$wait_pause" -ge 8 ] || wait_pause=$((wait_pause * 2))
    done
}

# session_lock OPTION_FILE NAME SECONDS: take a named lock in a session of its own, which lasts until
# session_unlock or until this process ends, however it ends. Sets lock_connection; 1 if another holds it.
session_lock() {
    lock_client=$1 lock_name=$2
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
    lock_answer=none lock_connection=0
    read -r lock_answer lock_connection <"$work/lock.out" || :
    [ "$lock_answer" = 1 ] && return 0
    session_unlock
    return 1
}

session_unlock() {
    exec 9>&-
    kill "$lock_pid" 2>/dev/null || :
    wait "$lock_pid" 2>/dev/null || :
}

# Whether that session still owns its lock; asks the server, since an idle client does not notice its own end.
session_holds() {
    [ "$(sql_as "$lock_client" "SELECT IS_USED_LOCK('$lock_name') <=> $lock_connection" 2>/dev/null)" = 1 ]
}
