# shellcheck shell=sh disable=SC2154 # after ground.sh, database.sh, sqlconf.sh, accounts.sh, configure.sh
# The set-up task: everything that touches the database or the files, one task at a time.
#
#   SETUP_MODE=configure    first installation, upgrade, settings (the default)
#   SETUP_MODE=credentials  change from MYSQL_USER to NEXT_MYSQL_USER, the other of the two users
#
# Exit status is 0 done, 1 a step failed, 2 the environment is wrong, 3 the database cannot be reached or trusted,
# 4 refused to harm data, 75 another task is at work or nothing is installed, 76 the lock was lost on the way.
# After 1, 3, 75 and 76 the same task can be run again; it may also be killed at any moment and run again.

# check NAME PATTERN: collects what is wrong with the environment, without showing a value.
wrong=''
check() {
    eval "checked=\${$1:-}"
    { printf '%s' "$checked" | tr '\n' '\001' && echo; } | LC_ALL=C grep -Eq "^($2)\$" || wrong="$wrong $1"
}

check_environment() {
    check MYSQL_HOST '[A-Za-z0-9.:-]+'
    check MYSQL_PORT '[0-9]+'
    check MYSQL_ROOT_USER '[A-Za-z0-9_]+'
    check MYSQL_ROOT_PASS '[ -~]+'
    check MYSQL_DATABASE '[A-Za-z0-9_]{1,63}'
    check MYSQL_USER '[A-Za-z0-9_]{1,29}_[ab]'
    check MYSQL_PASS '[A-Za-z0-9]{16,64}'
    check IMAGE_REFERENCE '[A-Za-z0-9._:/@-]*'
    if [ -n "${DATABASE_CA:-}" ]; then check DATABASE_CA '.*BEGIN CERTIFICATE.*'; else check DATABASE_CA_URL 'https://.+'; fi
    case ${SETUP_MODE:-configure} in
        configure)
            # Upstream splits these on spaces and =, and the shell expands what is left.
            check OE_USER '[A-Za-z0-9_.@-]+'
            check OE_PASS '[A-Za-z0-9!()<>^{}~_.,:+@%-]{8,}'
            for name in $(environment_names | grep '^OPENEMR_SETTING_'); do
                printf '%s' "$name" | grep -Eq '^OPENEMR_SETTING_[A-Za-z0-9_]+$' || wrong="$wrong $name"
            done
            ;;
        credentials)
            check NEXT_MYSQL_USER "$(user_base "${MYSQL_USER:-}")_[ab]"
            check NEXT_MYSQL_PASS '[A-Za-z0-9]{16,64}'
            [ "${NEXT_MYSQL_USER:-}" != "${MYSQL_USER:-}" ] || wrong="$wrong NEXT_MYSQL_USER(the-same)"
            ;;
        *) wrong="$wrong SETUP_MODE" ;;
    esac
    [ -z "$wrong" ] || give_up "$WRONG_USE" "missing or not usable:$wrong"
}

# The authority's certificate comes with the task; the address is for a region that has another one.
write_database_ca() {
    mkdir -p "${database_ca%/*}"
    if [ -n "${DATABASE_CA:-}" ]; then
        printf '%s\n' "$DATABASE_CA" >"$work/authority"
    else
        curl --silent --show-error --fail --location --proto =https --max-time 60 --retry 3 \
            --cacert "$trust_store" --output "$work/authority" "$DATABASE_CA_URL" ||
            give_up "$UNREACHABLE" "the database's authority cannot be fetched from DATABASE_CA_URL"
    fi
    openssl x509 -noout -in "$work/authority" 2>/dev/null ||
        give_up "$WRONG_USE" "the database's authority is not a certificate"
    cp "$work/authority" "$database_ca"
    chmod 644 "$database_ca"
    # Where the image's client looks by itself: newer ones verify, and do not know RDS.
    mkdir -p "$etc/my.cnf.d"
    chmod 755 "$etc/my.cnf.d"
    printf '[client]\nssl-ca=%s\nssl-verify-server-cert\n' "$database_ca" >"$etc/my.cnf.d/hostemr.cnf"
    chmod 644 "$etc/my.cnf.d/hostemr.cnf"
}

take_lock() {
    say "taking the lock"
    session_lock "$master" hostemr-setup "${SETUP_LOCK_SECONDS:-60}" || case $lock_answer in
        0) give_up "$BUSY" "another set-up task is at work; try again when it has ended" ;;
        *) give_up "$UNREACHABLE" "the database ended the session that was to hold the lock" ;;
    esac
    at_exit session_unlock
}

# Rotation: the other user gets the pending password and takes over; the old one is closed.
credentials() {
    has_state=$(ask "SELECT COUNT(*) FROM information_schema.tables
        WHERE table_schema = 'hostemr' AND table_name = 'setup'")
    [ "$has_state" != 0 ] || give_up "$BUSY" "nothing is installed yet"
    state_read
    [ "$state" = installed ] || give_up "$BUSY" "state is ${state:-none}, not installed: credentials stay as they are"
    sqlconf_read
    [ "$conf_state" = 1 ] || give_up "$REFUSED" "sqlconf.php is $conf_state, not configured: is this the right file system?"
    user_activate "$NEXT_MYSQL_USER" "$NEXT_MYSQL_PASS" "$MYSQL_PASS"
    change "UPDATE hostemr.setup SET rotated_at = UTC_TIMESTAMP() WHERE application = '$MYSQL_DATABASE'"
    say "done: $NEXT_MYSQL_USER is in use"
}

check_environment
write_database_ca
client_file "$master" "$MYSQL_ROOT_USER" "$MYSQL_ROOT_PASS" "$MYSQL_HOST" "$MYSQL_PORT"
database_wait "$master"
take_lock
"${SETUP_MODE:-configure}"
