# shellcheck shell=sh disable=SC2154 # after database.sh
# The application's two database users, between which rotation alternates.

master=$work/master.cnf

# What the application does in its own schema, upgrades included. GRANT ALL would add events and stored routines.
rights='SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE TEMPORARY TABLES'
rights="$rights, LOCK TABLES, CREATE VIEW, SHOW VIEW, TRIGGER, EXECUTE${rights_added:-}"

# Statements as the master, and only while this task still holds the lock.
change() {
    session_holds || give_up "$LOST_LOCK" "the database lock was lost: another task may be at work; run this again"
    sql_as "$master" "$1"
}

ask() {
    sql_as "$master" "$1"
}

random_password() {
    printf 'Aa1%s' "$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')"
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

# Not every image has openssl, and every one has sha1sum. Its digits are put back into bytes for the second round.
sha1_of_sha1() {
    for byte in $(printf '%s' "$1" | sha1sum | cut -d' ' -f1 | sed 's/../0x& /g'); do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\$(printf '%03o' "$byte")"
    done | sha1sum | cut -d' ' -f1
}

# The password as the server stores it: a statement's text can reach the audit log, so none holds a password.
# Aurora MySQL 3 and MariaDB both take it in this form (MySQL 8.0 Reference Manual, native pluggable authentication).
identified() {
    hash=$(sha1_of_sha1 "$1" | tr a-f A-F)
    printf "IDENTIFIED WITH mysql_native_password AS '*%s'" "$hash"
}

# user_open NAME PASSWORD: it exists, has this password and its rights, and may log in over TLS only.
user_open() {
    # In a grant _ stands for any character, unless escaped.
    pattern=$(printf '%s' "$database_name" | sed 's/_/\\_/g')
    opened=$(identified "$2")
    change "CREATE USER IF NOT EXISTS '$1'@'%' $opened REQUIRE SSL;
        GRANT $rights ON \`$pattern\`.* TO '$1'@'%';
        REVOKE $rights_withheld ON \`$pattern\`.* FROM '$1'@'%';
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
    client_file "$work/application.cnf" "$1" "$2" "$database_host" "$database_port"
    sql_as "$work/application.cnf" "USE \`$database_name\`" >/dev/null 2>&1
}
