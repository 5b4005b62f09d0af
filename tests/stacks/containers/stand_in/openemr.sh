#!/bin/sh
# Stands in for the start script of OpenEMR's image: what our scripts rely on, and its known traps.
#
# It tells what it does in $STAND_IN_LOG, and stops at the step named by $STOP_AT until it is killed.
set -e

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

sites=$HOSTEMR_OPENEMR/sites
sqlconf=$sites/default/sqlconf.php
env | grep -q '^OPENEMR_SETTING_' && log "settings were handed over"
env | grep -q '^REDIS_PASSWORD=' && [ "$K8S" = admin ] && log "the cache's password was handed over"

client() {
    printf '[client]\nuser=%s\npassword=%s\nhost=%s\nport=%s\n' "$1" "$2" "$MYSQL_HOST" "$MYSQL_PORT" >"$sites/client"
    if [ -f "$sites/default/documents/certificates/mysql-ca" ]; then
        printf 'ssl-ca=%s\nssl-verify-server-cert\n' "$sites/default/documents/certificates/mysql-ca" >>"$sites/client"
    fi
    printf '%s\n' "$3" | mariadb --defaults-file="$sites/client" --batch --skip-column-names ${4:+"$4"}
}

as_user() {
    client "$MYSQL_USER" "$MYSQL_PASS" "$1" "$MYSQL_DATABASE"
}

try_to_install() {
    client "$MYSQL_ROOT_USER" "$MYSQL_ROOT_PASS" "SELECT 1" >/dev/null || return 1
    if ! as_user "SELECT 1" >/dev/null 2>&1; then
        log "needs the master's rights"
        client "$MYSQL_ROOT_USER" "$MYSQL_ROOT_PASS" "CREATE DATABASE $MYSQL_DATABASE;
            CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASS';
            GRANT ALL PRIVILEGES ON $MYSQL_DATABASE.* TO '$MYSQL_USER'@'%'" || return 1
    fi
    for table in "version (v_database INT)" "patient_data (id INT)" "users (name VARCHAR(64))" \
        "globals (gl_name VARCHAR(63), gl_index INT, gl_value LONGTEXT, PRIMARY KEY (gl_name, gl_index))"; do
        as_user "CREATE TABLE $table" || return 1
        step "table ${table%% *}"
    done
    cat >"$sqlconf" <<PHP
<?php
\$host	= '$MYSQL_HOST';
\$port	= '$MYSQL_PORT';
\$login	= '$MYSQL_USER';
\$pass	= '$MYSQL_PASS';
\$dbase	= '$MYSQL_DATABASE';
\$sqlconf = array();
\$sqlconf["host"]= \$host;
\$config = 1; /////////////
?>
PHP
    step "sqlconf"
    as_user "INSERT INTO version VALUES ($(cat "$HOSTEMR_ROOT_HOME/docker-version")00);
        INSERT INTO globals VALUES ('language_default', 0, 'English'), ('rest_api', 0, '0');
        INSERT INTO users VALUES ('$OE_USER')" || return 1
    step "first user"
}

authority=yes
[ "$K8S" != worker ] || authority=no
if [ "$SWARM_MODE" = yes ] && [ ! -f "$sites/docker-completed" ]; then
    # As newer images do: whatever K8S says, somebody must lead.
    log "became the leader"
    authority=yes
fi

# No file at all ends the script, as set -e does upstream.
config=$(php -n -r "require_once('$sqlconf'); echo \$config;" 2>/dev/null)
if [ "$authority" = no ] && [ "$config" = 0 ]; then
    log "a worker without configuration"
    exit 1
fi

if [ "$authority" = yes ] && [ "$config" = 0 ]; then
    log "install begins"
    [ -z "${INSTALL_SLOWLY:-}" ] || sleep "$INSTALL_SLOWLY"
    until try_to_install; do
        log "try again"
        sleep 0.2
    done
    chmod 400 "$sqlconf"
    log "install ends"
elif [ "$authority" = yes ]; then
    in_image=$(cat "$HOSTEMR_ROOT_HOME/docker-version")
    in_sites=$(cat "$sites/default/docker-version")
    number=$in_sites
    while [ "$number" -lt "$in_image" ]; do
        number=$((number + 1))
        step "upgrade $number begins"
        mkdir -p "$sites/default/documents/upgrade_$number"
        if [ -z "${BROKEN_UPGRADE:-}" ]; then
            as_user "ALTER TABLE version ADD COLUMN IF NOT EXISTS added_$number INT;
                UPDATE version SET v_database = ${number}00"
        fi
        step "upgrade $number ends"
    done
    printf '%s' "$in_image" >"$sites/default/docker-version"
    step "version written"
fi
rm -f "$sites/client"

# As newer images do even outside of a swarm.
[ "$authority" = no ] || touch "$sites/docker-leader"
if [ "$K8S" = admin ]; then
    exit 0
fi
log "serving"
