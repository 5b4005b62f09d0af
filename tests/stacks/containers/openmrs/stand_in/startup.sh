#!/bin/sh
# Stands in for /openmrs/startup.sh: what our scripts rely on, and its known traps.
#
# It tells what it does in $STAND_IN_LOG, and stops at the step named by $STOP_AT until it is killed.
set -eua

log() {
    printf '%s\n' "$*" >>"$STAND_IN_LOG"
}

step() {
    log "$1"
    if [ "${STOP_AT:-}" = "$1" ]; then
        : >"$STOPPED"
        kill -STOP $$
    fi
}

home=$HOSTEMR_OPENMRS
data=$home/data
runtime=$data/openmrs-runtime.properties
# shellcheck disable=SC2034 # startup-init.sh reads it
OMRS_SERVER_PROPERTIES_FILE=$home/openmrs-server.properties
# shellcheck disable=SC2034 # startup-init.sh reads it
OMRS_RUNTIME_PROPERTIES_FILE=$runtime
version=$(cat "$home/version")
[ -z "${MASTER_PASSWORD:-}${NEXT_DB_PASSWORD:-}" ] || log "was given the master's password"
case $OMRS_DB_URL in *[[:space:]]*) log "white space in the URL" ;; esac

# shellcheck disable=SC1091
. "$home/startup-init.sh"

sql() {
    printf '[client]\nuser=%s\npassword=%s\nhost=%s\nport=%s\nssl-ca=%s\nssl-verify-server-cert\n' \
        "$OMRS_DB_USERNAME" "$OMRS_DB_PASSWORD" "$OMRS_DB_HOSTNAME" "$OMRS_DB_PORT" "$home/database-ca.pem" \
        >"$home/client.cnf"
    printf '%s\n' "$1" | mariadb --defaults-file="$home/client.cnf" --batch --skip-column-names "$OMRS_DB_NAME"
}

load_configuration() {
    [ ! -f "$data/configuration_checksums/concepts.checksum" ] || return 0
    step "configuration loaded"
    mkdir -p "$data/configuration_checksums"
    echo "$version" >"$data/configuration_checksums/concepts.checksum"
}

rm -f "$home/started" "$home/errors" "$home/listening"
"$STAND_IN_PYTHON" -I -S "$STAND_IN_SERVER" "$HOSTEMR_WEB_PORT" "$home" "$STAND_IN_LOG" &
server=$!
until [ -f "$home/listening" ]; do sleep 0.02; done
log "java $OMRS_JAVA_MEMORY_OPTS"

if [ "${STAND_IN_CRASH:-}" = yes ]; then
    echo "the password is $OMRS_DB_PASSWORD"
    kill "$server"
    exit 7
elif [ "${STAND_IN_HANG:-}" = yes ]; then
    log "hanging"
elif [ ! -f "$runtime" ]; then
    # Without runtime properties every database is one to be installed.
    if [ "$OMRS_CREATE_TABLES" != true ]; then
        log "the wizard is open"
        wait "$server"
    fi
    [ -z "${STAND_IN_SLOWLY:-}" ] || sleep "$STAND_IN_SLOWLY"
    step "install begins"
    sql "CREATE TABLE liquibasechangelog (id VARCHAR(64) PRIMARY KEY);
        CREATE TABLE liquibasechangeloglock (id INT, locked INT, lockgranted DATETIME, lockedby VARCHAR(64));
        INSERT INTO liquibasechangeloglock VALUES (1, 1, '2026-01-01', 'somebody')"
    step "table liquibasechangeloglock"
    sql "CREATE TABLE users (username VARCHAR(32), password VARCHAR(128), salt VARCHAR(128));
        CREATE TABLE global_property (property VARCHAR(64) PRIMARY KEY, property_value TEXT);
        CREATE TABLE patient (patient_id INT);
        CREATE FUNCTION greeting() RETURNS INT DETERMINISTIC RETURN 1"
    step "table users"
    password=$OMRS_ADMIN_USER_PASSWORD
    [ "${STAND_IN_REFUSES_PASSWORD:-}" != yes ] || password='test'
    sql "INSERT INTO users VALUES ('admin', SHA2(CONCAT('$password', 'salt'), 512), 'salt');
        INSERT INTO liquibasechangelog VALUES ('$version');
        UPDATE liquibasechangeloglock SET locked = 0"
    if [ "${STAND_IN_ERROR:-}" = yes ]; then
        : >"$home/errors"
        wait "$server"
    fi
    printf 'encryption.key=%s\nencryption.vector=abc\\=\\=\nconnection.password=%s\n' "key$$" "$OMRS_DB_PASSWORD" \
        >"$runtime"
    load_configuration
    sql "INSERT INTO global_property VALUES ('search.indexVersion', '7')"
    step "install ends"
    : >"$home/started"
else
    grep -q '^encryption.key=key' "$runtime" || log "no encryption key"
    pending=$(sql "SELECT COUNT(*) = 0 FROM liquibasechangelog WHERE id = '$version'")
    if [ "$pending" = 1 ] && grep -q '^auto_update_database=true$' "$runtime"; then
        until [ "$(sql "SELECT locked FROM liquibasechangeloglock")" = 0 ]; do sleep 0.2; done
        sql "UPDATE liquibasechangeloglock SET locked = 1"
        step "upgrade begins"
        sql "ALTER TABLE users ADD COLUMN IF NOT EXISTS added_$version INT; INSERT INTO liquibasechangelog VALUES ('$version');
            UPDATE liquibasechangeloglock SET locked = 0"
        step "upgrade ends"
        pending=0
    fi
    if [ "$pending" = 1 ]; then
        log "changes are pending"
        wait "$server"
    fi
    load_configuration
    if [ "$(sql "SELECT property_value FROM global_property WHERE property = 'search.indexVersion'")" = '' ]; then
        step "index built"
        sql "UPDATE global_property SET property_value = '7' WHERE property = 'search.indexVersion'"
    fi
    : >"$home/started"
fi
wait "$server"
