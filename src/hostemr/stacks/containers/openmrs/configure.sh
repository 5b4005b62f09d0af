# shellcheck shell=sh disable=SC2154 # after shared/state.sh, properties.sh, watch.sh
# Mode "configure": first installation and upgrade, by OpenMRS' own start, once, before any worker of this image.

table_exists() {
    ask "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '$database_name' AND table_name = '$1'"
}

# Sets state, recorded (the image that set it up), tables, has_application (1 or 0) and patients.
survey() {
    state_table
    state_read
    recorded=$(ask "SELECT image FROM hostemr.setup WHERE application = '$database_name'")
    tables=$(ask "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '$database_name'")
    has_application=$(ask "SELECT COUNT(*) = 3 FROM information_schema.tables
        WHERE table_schema = '$database_name' AND table_name IN ('users', 'global_property', 'liquibasechangelog')")
    patients=0
    # In a variable of its own: a question that fails must end the script, not read as "none".
    has_patients=$(table_exists patient)
    if [ "$has_patients" != 0 ]; then
        patients=$(ask "SELECT COUNT(*) FROM \`$database_name\`.patient")
    fi
    say "found: state ${state:-none}, $tables tables, $patients patients"
}

has_attachments() {
    # Amazon Linux has no `find`. A file without a line in it is nobody's attachment.
    grep -rqs '' "$shared/complex_obs" "$shared/storage"
}

# Sets plan to install, adopt or keep; ends here where going on could harm data.
decide() {
    together='restore database and files from the same moment'
    if [ "$state" = installing ] || [ "$state:$tables" = :0 ]; then
        [ "$patients" = 0 ] ||
            give_up "$REFUSED" "a first installation is due, but the database holds $patients patients; $together"
        ! has_attachments ||
            give_up "$REFUSED" "a first installation is due, but the files hold attachments; $together"
        plan=install
    elif [ "$has_application" = 1 ]; then
        plan=keep
        [ -n "$state" ] || plan=adopt
    elif [ -n "$state" ]; then
        give_up "$REFUSED" "it was installed, but the database holds $tables tables and not OpenMRS'; $together"
    else
        give_up "$REFUSED" "the database holds $tables tables, but not OpenMRS'; $together"
    fi
}

# The tasks that serve may use the user whose password this would set: a task that waited while the credential was
# rotated would take it from them.
require_current_credential() {
    [ "$plan" != keep ] || user_works "$OMRS_DB_USERNAME" "$OMRS_DB_PASSWORD" || ! rotated_lately ||
        give_up "$BUSY" "the credential was rotated a moment ago, and this task was given the one before; run another"
}

# A killed installation cannot be resumed, and nobody has used it: begin again.
install() {
    state_write installing ''
    say "emptying what an earlier attempt left"
    change "DROP DATABASE IF EXISTS \`$database_name\`;
        CREATE DATABASE \`$database_name\` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    rm -rf "$handed_over" "$properties"
    copy_checksums
    user_open "$OMRS_DB_USERNAME" "$OMRS_DB_PASSWORD"
    say "running OpenMRS' installation"
    run_openmrs true
    require_own_password
}

# Core's data come with admin's password "test"; the installer changes it, and goes on when it cannot.
require_own_password() {
    unchanged=$(ask "SELECT COUNT(*) FROM \`$database_name\`.users WHERE username = 'admin'
        AND password IN (SHA1(CONCAT('test', salt)), SHA2(CONCAT('test', salt), 512))")
    [ "$unchanged" = 0 ] || give_up "$FAILED" "OpenMRS did not accept the administrator's password: read its log"
}

upgrade() {
    # The image that is recorded stays the one before until this has ended well.
    change "UPDATE hostemr.setup SET state = 'upgrading' WHERE application = '$database_name' AND state = 'installed'"
    release_liquibase
    copy_checksums
    properties_write true
    say "running OpenMRS' upgrade"
    run_openmrs false
}

# run_openmrs MAY_CREATE: until it has started, and all changes are made; then it ends.
run_openmrs() {
    link_shared
    : >"$work/startup.log"
    startup "$1" true >"$work/startup.log" 2>&1
    startup_wait "${SETUP_TIMEOUT_SECONDS:-2700}"
    say "stopping OpenMRS"
    startup_stop
}

# A task that was killed while it changed the schema leaves Liquibase's lock, which nothing else ever opens. The lock
# of a task that just starts lasts for seconds.
release_liquibase() {
    has_lock=$(table_exists liquibasechangeloglock)
    [ "$has_lock" != 0 ] || return 0
    lock_until=$(($(date +%s) + ${LIQUIBASE_LOCK_SECONDS:-60}))
    while :; do
        locked=$(ask "SELECT COUNT(*) FROM \`$database_name\`.liquibasechangeloglock WHERE locked = 1")
        [ "$locked" != 0 ] || return 0
        [ "$(date +%s)" -lt "$lock_until" ] || break
        sleep 2
    done
    say "opening Liquibase's lock, which a killed task has left"
    change "UPDATE \`$database_name\`.liquibasechangeloglock
        SET locked = 0, lockedby = NULL, lockgranted = NULL WHERE locked = 1"
}

# A tag that names no version, and no digest, may be another image each time.
same_image() {
    [ "$recorded" = "$IMAGE_REFERENCE" ] || return 1
    case $recorded in *@sha256:*) return 0 ;; esac
    [ -n "$(version_of "$recorded")" ]
}

# What the set-up leaves to the workers. A reader finds all of it or none: `installed` is written last of all.
hand_over() {
    mkdir -p "$handed_over"
    index_place >"$handed_over/index"
    rm -rf "$handed_over/checksums.new" "$handed_over/checksums.old"
    mkdir -p "$data/configuration_checksums"
    cp -R "$data/configuration_checksums" "$handed_over/checksums.new"
    [ ! -d "$handed_over/configuration_checksums" ] ||
        mv "$handed_over/configuration_checksums" "$handed_over/checksums.old"
    mv "$handed_over/checksums.new" "$handed_over/configuration_checksums"
    rm -rf "$handed_over/checksums.old"
    if [ "$plan" = install ]; then
        # What OpenMRS has encrypted can be read with these only. They are made at the installation, once.
        grep -E '^encryption\.(key|vector)=' "$properties" >"$handed_over/encryption.new" ||
            give_up "$FAILED" "the installation has left no encryption key in its runtime properties"
        chmod 600 "$handed_over/encryption.new"
        mv -f "$handed_over/encryption.new" "$handed_over/encryption.properties"
    fi
}

index_place() {
    printf '%s %s\n' "${OMRS_SEARCH:-lucene}" "${OMRS_SEARCH_ES_URIS:-}"
}

# A note in the database says that there is a search index. It knows nothing of where: in another place there is none
# yet, and nobody would be found.
move_index() {
    [ "$(cat "$handed_over/index" 2>/dev/null)" != "$(index_place)" ] || return 0
    say "having OpenMRS build its search index where it is to be now"
    change "UPDATE \`$database_name\`.global_property SET property_value = '' WHERE property = 'search.indexVersion'"
    mkdir -p "$handed_over"
    index_place >"$handed_over/index"
}

mark_installed() {
    mkdir -p "$handed_over"
    printf '%s\n' "${IMAGE_REFERENCE:-}" >"$handed_over/installed.new"
    mv -f "$handed_over/installed.new" "$handed_over/installed"
}

configure() {
    survey
    decide
    if [ "$plan" = keep ] && older "$IMAGE_REFERENCE" "$recorded"; then
        # CloudFormation's way back must not fail; what is there belongs to the newer image.
        say "this image is older than the one that set the database up, as after a rolled-back deployment: nothing is changed"
        return 0
    fi
    require_current_credential
    case $plan in
        install) install ;;
        adopt | keep)
            say "opening the database user $OMRS_DB_USERNAME"
            user_open "$OMRS_DB_USERNAME" "$OMRS_DB_PASSWORD"
            if [ "$plan" = adopt ]; then
                say "adopting an installation that was restored or migrated"
                [ -f "$handed_over/encryption.properties" ] ||
                    say "no encryption key came with it: OpenMRS falls back to the one that all installations know"
            fi
            move_index
            if [ "$state" = installed ] && same_image && [ -f "$handed_over/installed" ]; then
                say "it is installed"
                say "done"
                return 0
            fi
            upgrade
            ;;
    esac
    say "handing over to the workers"
    hand_over
    state_write installed ''
    mark_installed
    say "done"
}
