# shellcheck shell=sh disable=SC2154 # after shared/task.sh, configure.sh
# OpenMRS' set-up task.

check_environment() {
    check_database
    check_java
    check MASTER_USERNAME '[A-Za-z0-9_]+'
    check MASTER_PASSWORD '[ -~]+'
    check SETUP_TIMEOUT_SECONDS '[0-9]*'
    case ${SETUP_MODE:-configure} in
        configure)
            # OpenMRS knows its first user by this name only.
            check ADMINISTRATOR_USERNAME 'admin'
            # As OpenMRS itself demands of a password, and as a Java properties file takes it to the letter.
            check OMRS_ADMIN_USER_PASSWORD '[A-Za-z0-9!()<>^{}~_.,:+@%-]{8,}'
            for pattern in '[A-Z]' '[a-z]' '[0-9]'; do
                printf '%s' "${OMRS_ADMIN_USER_PASSWORD:-}" | LC_ALL=C grep -q "$pattern" ||
                    wrong="$wrong OMRS_ADMIN_USER_PASSWORD(lacks-$pattern)"
            done
            ;;
        credentials)
            check NEXT_DB_USERNAME "$(user_base "${OMRS_DB_USERNAME:-}")_[ab]"
            check NEXT_DB_PASSWORD '[A-Za-z0-9]{16,64}'
            [ "${NEXT_DB_USERNAME:-}" != "${OMRS_DB_USERNAME:-}" ] || wrong="$wrong NEXT_DB_USERNAME(the-same)"
            ;;
        *) wrong="$wrong SETUP_MODE" ;;
    esac
    [ -z "$wrong" ] || give_up "$WRONG_USE" "missing or not usable:$wrong"
}

# Rotation. OpenMRS reads its credential when it starts, so the user that its tasks use stays as it is until they have
# been replaced; its password is worth nothing from the next rotation on, which gives it another one.
credentials() {
    require_installed
    say "opening the database user $NEXT_DB_USERNAME"
    user_open "$NEXT_DB_USERNAME" "$NEXT_DB_PASSWORD"
    user_works "$NEXT_DB_USERNAME" "$NEXT_DB_PASSWORD" ||
        give_up "$FAILED" "the database user $NEXT_DB_USERNAME cannot log in; the other is as it was"
    state_rotated
    say "done: $NEXT_DB_USERNAME can be used"
}

check_environment
fetch_authority
client_start
trust_authority
client_file "$master" "$MASTER_USERNAME" "$MASTER_PASSWORD" "$database_host" "$database_port"
database_wait "$master"
take_lock
"${SETUP_MODE:-configure}"
