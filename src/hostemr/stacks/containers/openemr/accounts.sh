# shellcheck shell=sh disable=SC2154 # after shared/accounts.sh, sqlconf.sh
# Which of the two database users OpenEMR uses: the one that sqlconf.php names. The other is locked.
#
# The law here: at no moment does sqlconf.php name a user that cannot log in. So a password is only ever
# changed on the user that sqlconf.php does not name.

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
