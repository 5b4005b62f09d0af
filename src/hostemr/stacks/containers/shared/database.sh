# shellcheck shell=sh disable=SC2154 # after ground.sh and the application's places
# The database: TLS always, the server's certificate and name verified, passwords never among arguments.
#
# The application's client.sh, which comes after, has the client of its image: client_run FILE (statements on
# stdin, rows on stdout, errors as mariadb says them), client_lock FILE NAME SECONDS and client_unlock.

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
        client_run "$1" 2>"$work/sql.error" && return 0
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
            give_up "$UNREACHABLE" "no database at $database_host:$database_port: $(head -n 1 "$work/sql.error")"
        say "waiting for the database"
        sleep "$wait_pause"
        [ "$wait_pause" -ge 8 ] || wait_pause=$((wait_pause * 2))
    done
}

# session_lock OPTION_FILE NAME SECONDS: take a named lock in a session of its own, which lasts until
# session_unlock or until this process ends, however it ends. Sets lock_connection; 1 if another holds it.
session_lock() {
    lock_client=$1 lock_name=$2 lock_answer=none lock_connection=0
    client_lock "$1" "$2" "$3"
    [ "$lock_answer" = 1 ] && return 0
    session_unlock
    return 1
}

session_unlock() {
    client_unlock
}

# Whether that session still owns its lock; asks the server, since an idle client does not notice its own end.
session_holds() {
    [ "$(sql_as "$lock_client" "SELECT IS_USED_LOCK('$lock_name') <=> $lock_connection" 2>/dev/null)" = 1 ]
}
