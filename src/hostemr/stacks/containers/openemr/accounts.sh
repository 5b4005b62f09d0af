# shellcheck shell=sh disable=SC2154 # after ground.sh, database.sh, sqlconf.sh
# The application's two database users, of which one is in use and the other is locked.
#
# The law here: at no moment does sqlconf.php name a user that cannot log in. So a password is only ever
# changed on the user that sqlconf.php does not name.

master=$work/master.cnf

# What OpenEMR does in its own schema, upgrades included. GRANT ALL would add events and stored routines.
rights='SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE TEMPORARY TABLES'
rights="$rights, LOCK TABLES, CREATE VIEW, SHOW VIEW, TRIGGER, EXECUTE"

# Statements as the master, and only while this task still holds the lock.
change() {
    session_holds || give_up "$LOST_LOCK" "the database lock was lost: another task may be at work; run this again"
    sql_as "$master" "$1"
}

ask() {
    sql_as "$master" "$1"
}

random_password() {
    printf 'Aa1%s' "$(openssl rand -hex 20)"
}

# user_base NAME: openemr of openemr_a.  other_user NAME: openemr_b of openemr_a.
user_base() {
    printf '%s' "${1%_[ab]}"
}

other_user() {
    case $1 in
        *_a) printf '%s_b' "${1%_a}" ;;
        *) printf '%s_a' "${1%_b}" ;;
    esac
}

# The password as the server stores it: a statement's text can reach the audit log, so none holds a password.
# Aurora MySQL 3 and MariaDB both take it in this form (MySQL 8.0 Reference Manual, native pluggable authentication).
identified() {
    hash=$(printf '%s' "$1" | openssl dgst -sha1 -binary | openssl dgst -sha1 -r | cut -d' ' -f1 | tr a-f A-F)
    printf "IDENTIFIED WITH mysql_native_password AS '*%s'" "$hash"
}

# user_open NAME PASSWORD: it exists, has this password and its rights, and may log in over TLS only.
user_open() {
    # In a grant _ stands for any character, unless escaped.
    pattern=$(printf '%s' "$MYSQL_DATABASE" | sed 's/_/\\_/g')
    opened=$(identified "$2")
    change "CREATE USER IF NOT EXISTS '$1'@'%' $opened REQUIRE SSL;
        GRANT $rights ON \`$pattern\`.* TO '$1'@'%';
        REVOKE EVENT, CREATE ROUTINE, ALTER ROUTINE, GRANT OPTION ON \`$pattern\`.* FROM '$1'@'%';
        ALTER USER '$1'@'%' $opened REQUIRE SSL ACCOUNT UNLOCK"
}

# user_close NAME: it may not log in, and no password that was ever its own is worth anything.
user_close() {
    closed=$(identified "$(random_password)")
    change "CREATE USER IF NOT EXISTS '$1'@'%' $closed REQUIRE SSL ACCOUNT LOCK;
        ALTER USER '$1'@'%' $closed REQUIRE SSL ACCOUNT LOCK"
}

# A user that never was is closed, too. MySQL and MariaDB keep the lock in different places; SHOW CREATE USER has it.
user_is_closed() {
    closed_count=$(ask "SELECT COUNT(*) FROM mysql.user WHERE user = '$1' AND host = '%'")
    [ "$closed_count" != 0 ] || return 0
    ask "SHOW CREATE USER '$1'@'%'" | grep -q 'ACCOUNT LOCK'
}

# user_works NAME PASSWORD: over verified TLS, as the application would.
user_works() {
    client_file "$work/application.cnf" "$1" "$2" "$MYSQL_HOST" "$MYSQL_PORT"
    sql_as "$work/application.cnf" "USE \`$MYSQL_DATABASE\`" >/dev/null 2>&1
}

# user_switch NAME PASSWORD: set it, prove it, and only then write it where OpenEMR looks.
user_switch() {
    say "opening the database user $1"
    user_open "$1" "$2"
    user_works "$1" "$2" || give_up "$FAILED" "the database user $1 cannot log in; sqlconf.php is as it was"
    say "writing $1 to sqlconf.php"
    session_holds || give_up "$LOST_LOCK" "the database lock was lost: run this again"
    sqlconf_write "$1" "$2"
}

# user_activate NAME PASSWORD SPARE_PASSWORD: make sqlconf.php name this user with this password, then close the other.
user_activate() {
    sqlconf_read
    settled=no
    if [ "$conf_login" = "$1" ] && [ "$conf_pass" = "$2" ] && user_works "$1" "$2"; then
        settled=yes
    elif [ "$conf_login" = "$1" ] && user_works "$1" "$conf_pass"; then
        # It is in use under another password, so OpenEMR steps aside to the other user first.
        user_switch "$(other_user "$1")" "$3"
        grace
    fi
    if [ "$settled" = yes ] && [ "$conf_host:$conf_port:$conf_dbase" = "$MYSQL_HOST:$MYSQL_PORT:$MYSQL_DATABASE" ]; then
        say "the database user $1 is in use already"
        user_open "$1" "$2"
    else
        user_switch "$1" "$2"
    fi
    sqlconf_write "$1" "$2"
    # A closed user needs no grace; one that a killed run left open does, as that run may have just ended.
    user_is_closed "$(other_user "$1")" || grace
    say "closing the database user $(other_user "$1")"
    user_close "$(other_user "$1")"
}

# PHP's opcache looks at sqlconf.php again after two seconds; EFS clients cache names for some more.
grace() {
    say "waiting ${CREDENTIAL_GRACE_SECONDS:-30} s for requests under way"
    sleep "${CREDENTIAL_GRACE_SECONDS:-30}"
}
