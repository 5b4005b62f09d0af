# shellcheck shell=sh disable=SC2154 # after shared/task.sh, accounts.sh, configure.sh
# OpenEMR's set-up task.

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

# Put where the application, the image's client and upstream's scripts look.
write_database_ca() {
    fetch_authority
    openssl x509 -noout -in "$work/authority" 2>/dev/null ||
        give_up "$WRONG_USE" "the database's authority is not a certificate"
    mkdir -p "${database_ca%/*}"
    cp "$work/authority" "$database_ca"
    chmod 644 "$database_ca"
    # Where the image's client looks by itself: newer ones verify, and do not know RDS.
    mkdir -p "$etc/my.cnf.d"
    chmod 755 "$etc/my.cnf.d"
    printf '[client]\nssl-ca=%s\nssl-verify-server-cert\n' "$database_ca" >"$etc/my.cnf.d/hostemr.cnf"
    chmod 644 "$etc/my.cnf.d/hostemr.cnf"
}

# Rotation: the other user gets the pending password and takes over; the old one is closed.
credentials() {
    require_installed
    sqlconf_read
    [ "$conf_state" = 1 ] || give_up "$REFUSED" "sqlconf.php is $conf_state, not configured: is this the right file system?"
    user_activate "$NEXT_MYSQL_USER" "$NEXT_MYSQL_PASS" "$MYSQL_PASS"
    state_rotated
    say "done: $NEXT_MYSQL_USER is in use"
}

check_environment
write_database_ca
client_file "$master" "$MYSQL_ROOT_USER" "$MYSQL_ROOT_PASS" "$MYSQL_HOST" "$MYSQL_PORT"
database_wait "$master"
take_lock
"${SETUP_MODE:-configure}"
