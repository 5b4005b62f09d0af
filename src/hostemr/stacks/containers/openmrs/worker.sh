# shellcheck shell=sh disable=SC2154 # after shared/task.sh, certificate.sh, properties.sh, startup.sh
# A worker: serves what the set-up task has configured, and never changes the schema itself.
#
# Exit status is 1 when nothing is set up for this image, 2 when the environment is wrong, 3 when the database cannot
# be reached or trusted, 143 when it was told to stop; otherwise it is that of OpenMRS' start script.

check_environment() {
    check_database
    check_java
    [ -z "$wrong" ] || give_up "$WRONG_USE" "missing or not usable:$wrong"
}

# The set-up task writes this file last of all. The application's user may not see what the task itself remembers.
require_setup() {
    [ -f "$handed_over/installed" ] ||
        give_up "$FAILED" "nothing is set up ($handed_over/installed is missing): the set-up task has to run first"
    set_up_by=$(head -n 1 "$handed_over/installed")
    ! older "$set_up_by" "${IMAGE_REFERENCE:-}" ||
        give_up "$FAILED" "the set-up task of this image has not run: $set_up_by was the last"
}

# Files alone prove nothing: they may be of another moment than the database.
require_database() {
    client_file "$work/application.cnf" "$OMRS_DB_USERNAME" "$OMRS_DB_PASSWORD" "$database_host" "$database_port"
    database_wait "$work/application.cnf"
    found=$(sql_as "$work/application.cnf" "SELECT COUNT(*) FROM information_schema.tables
        WHERE table_schema = '$database_name' AND table_name IN ('users', 'global_property', 'liquibasechangelog')")
    [ "$found" = 3 ] ||
        give_up "$FAILED" "the database $database_name holds no OpenMRS: restore it, or run the set-up task"
}

# The search index is one task's own and starts empty, but a note in the database says that there is one, and OpenMRS
# builds none: nobody would be found by name. So the note goes, and no other task may put it back before this one has
# read it. One task after the other, then.
begin_index() {
    [ "${OMRS_SEARCH:-lucene}" = lucene ] || return 0
    until session_lock "$work/application.cnf" "hostemr-index-$database_name" "${INDEX_LOOK_SECONDS:-10}"; do
        [ "$lock_answer" = 0 ] || give_up "$UNREACHABLE" "the database ended the session that was to hold the lock"
        say "waiting for another task that builds its search index"
        : >"$waiting"
    done
    rm -f "$waiting"
    say "having OpenMRS build this task's search index"
    sql_as "$work/application.cnf" "UPDATE \`$database_name\`.global_property SET property_value = ''
        WHERE property = 'search.indexVersion'"
}

# In the background: until this task has started, and then the next may.
end_index() {
    index_until=$(($(date +%s) + ${INDEX_SECONDS:-1800}))
    until [ "$(ask_openmrs health/started)" = 200 ]; do
        [ "$(date +%s)" -lt "$index_until" ] || break
        sleep "${HEALTH_POLL_SECONDS:-2}"
    done
    client_unlock
}

tomcat_status() {
    # A signal ends `wait`, the trap ends this script, and what is to be done at its end stops Tomcat.
    startup_status=0
    wait "$startup_pid" || startup_status=$?
    say "OpenMRS ended with status $startup_status"
    exit "$startup_status"
}

check_environment
# First: the gateway waits for it, and the database may take its time.
if command -v certificate_make >/dev/null; then
    certificate_make
    certificate_keep &
    at_exit "kill $! 2>/dev/null || :"
fi
require_setup
fetch_authority
client_start
trust_authority
require_database
link_shared
copy_checksums
properties_write false
begin_index
say "starting OpenMRS"
startup false false
if [ "${OMRS_SEARCH:-lucene}" = lucene ]; then
    end_index &
    at_exit "kill $! 2>/dev/null || :"
else
    client_stop
fi
tomcat_status
