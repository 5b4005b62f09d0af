# shellcheck shell=sh disable=SC2154 # after shared/state.sh, sqlconf.sh, accounts.sh
# Mode "configure": first installation, upgrade, settings. Files and database are one thing in two places;
# where they do not fit together nothing is changed.

# Sets state, from_version, tables, has_application (1 or 0), patients, and by sqlconf_read conf_state.
survey() {
    state_table
    state_read
    tables=$(ask "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '$MYSQL_DATABASE'")
    has_application=$(ask "SELECT COUNT(*) = 2 FROM information_schema.tables
        WHERE table_schema = '$MYSQL_DATABASE' AND table_name IN ('version', 'globals')")
    patients=0
    # In a variable of its own: a question that fails must end the script, not read as "none".
    has_patients=$(ask "SELECT COUNT(*) FROM information_schema.tables
        WHERE table_schema = '$MYSQL_DATABASE' AND table_name = 'patient_data'")
    if [ "$has_patients" != 0 ]; then
        patients=$(ask "SELECT COUNT(*) FROM \`$MYSQL_DATABASE\`.patient_data")
    fi
    sqlconf_read
    say "found: state ${state:-none}, $tables tables, $patients patients, sqlconf.php $conf_state"
}

# OpenEMR keeps a patient's documents in a folder named by the patient's number.
patient_files() {
    find "$sites/default/documents" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' 2>/dev/null | grep -q .
}

# Sets plan to install, adopt or keep; ends here where files and database do not belong together.
decide() {
    together='restore both from the same moment, or mount the right file system'
    if [ "$conf_state" = unreadable ]; then
        give_up "$REFUSED" "sqlconf.php cannot be read as PHP; $together"
    elif [ "$state" = installing ] || [ "$tables:$conf_state" = 0:absent ] || [ "$tables:$conf_state" = 0:0 ]; then
        case $state in
            installed | upgrading) give_up "$REFUSED" "it was installed, but database and files are empty; $together" ;;
        esac
        [ "$patients" = 0 ] ||
            give_up "$REFUSED" "a first installation is due, but the database holds $patients patients; $together"
        ! patient_files ||
            give_up "$REFUSED" "a first installation is due, but the files hold patients' documents; $together"
        plan=install
    elif [ "$has_application:$conf_state" = 1:1 ]; then
        plan=keep
        [ -n "$state" ] || plan=adopt
    elif [ "$conf_state" = 1 ]; then
        give_up "$REFUSED" "the files are of an installation, but the database is not ($tables tables); $together"
    else
        give_up "$REFUSED" "the database holds $tables tables, but sqlconf.php is not configured; $together"
    fi
}

# Upstream's script, with nothing that it does not need: it prints settings and the cache's address with
# passwords, and splits unquoted on spaces and = what it is given. The "root" that it gets is the application's
# own user: when that user can open the database already, the installer creates neither database nor user.
upstream() {
    sed -i 's/ --skip-ssl//g' "$root_home/devtoolsLibrary.source"
    (
        for name in $(environment_names); do
            case $name in
                OPENEMR_SETTING_* | REDIS_* | NEXT_MYSQL_* | DATABASE_CA) unset "$name" ;;
            esac
        done
        export K8S=admin SWARM_MODE=no MYSQL_ROOT_USER="$MYSQL_USER" MYSQL_ROOT_PASS="$MYSQL_PASS"
        export FORCE_DATABASE_SSL_CONNECT=1
        umask 022
        cd "$openemr" || exit 1
        # Its retries have no end.
        exec timeout "${SETUP_TIMEOUT_SECONDS:-2400}" ./openemr.sh
    ) &
    upstream_pid=$!
    at_exit "kill $upstream_pid 2>/dev/null || :"
    next_look=0
    while kill -0 "$upstream_pid" 2>/dev/null; do
        now=$(date +%s)
        if [ "$now" -ge "$next_look" ]; then
            session_holds || give_up "$LOST_LOCK" "the database lock was lost while OpenEMR's script ran: run this again"
            next_look=$((now + 5))
        fi
        sleep 0.2
    done
    upstream_status=0
    wait "$upstream_pid" || upstream_status=$?
    case $upstream_status in
        0) ;;
        124 | 143) give_up "$FAILED" "OpenEMR's script took longer than ${SETUP_TIMEOUT_SECONDS:-2400} s" ;;
        *) give_up "$FAILED" "OpenEMR's script ended with status $upstream_status" ;;
    esac
}

# A killed installation cannot be resumed ("Table already exists"), and nobody has used it: begin again.
install() {
    state_write installing ''
    say "emptying what an earlier attempt left"
    change "DROP DATABASE IF EXISTS \`$MYSQL_DATABASE\`;
        CREATE DATABASE \`$MYSQL_DATABASE\` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    for piece in "$pieces"/sites/*; do
        # Only what the image brings: a backup's own folder may lie beside it.
        [ ! -e "$piece" ] || rm -rf "${sites:?}/${piece##*/}"
    done
    rm -f "$sites/docker-completed"
    say "restoring the image's sites folder"
    mkdir -p "$sites"
    rsync --owner --group --perms --recursive --links "$pieces/sites/" "$sites/"
    write_certificates
    user_open "$MYSQL_USER" "$MYSQL_PASS"
    say "running OpenEMR's installer"
    upstream
    sqlconf_read
    [ "$conf_state" = 1 ] || give_up "$FAILED" "OpenEMR's installer ended without configuring it"
}

version_of() {
    version=''
    [ ! -f "$1" ] || version=$(tr -cd 0-9 <"$1")
    printf '%s' "${version:-0}"
}

# Sets in_image and in_sites, the versions of the image and of the files.
compare_versions() {
    in_image=$(version_of "$root_home/docker-version")
    in_sites=$(version_of "$sites/default/docker-version")
    if [ "$state" = upgrading ] && [ "$in_image" -ge "$in_sites" ] && [ "$from_version" != "$in_sites" ]; then
        # The upgrade scripts may all be run twice: directories with -p, SQL under "if missing" guards.
        say "a killed upgrade from $from_version to $in_sites is to be run again"
        printf '%s' "$from_version" >"$sites/default/docker-version"
        in_sites=$from_version
    fi
}

upgrade() {
    state_write upgrading "$in_sites"
    say "upgrading from $in_sites to $in_image"
    upstream
    in_sites=$(version_of "$sites/default/docker-version")
    [ "$in_sites" = "$in_image" ] || give_up "$FAILED" "after the upgrade the files are still at version $in_sites"
    # Older upgrade scripts go on when their SQL fails, and tell of it nowhere but here.
    [ -f "$openemr/version.php" ] || return 0
    wanted=$(php -n /dev/stdin "$openemr/version.php" <<'PHP'
<?php
error_reporting(0);
require $argv[1];
echo $v_database;
PHP
    )
    found=$(ask "SELECT v_database FROM \`$MYSQL_DATABASE\`.version LIMIT 1")
    [ "$wanted" = "$found" ] ||
        give_up "$FAILED" "the upgrade left the database at version $found, not $wanted: read its lines above"
}

# write_certificate SOURCE NAME: upstream copies only what is absent, so that an old authority would stay for ever.
write_certificate() {
    cmp -s "$1" "$certificates/$2" && return 0
    say "writing the authority $2"
    cp "$1" "$certificates/.$2"
    chown "$apache" "$certificates/.$2"
    # As upstream sets it: Apache and PHP read it, whatever their users.
    chmod 744 "$certificates/.$2"
    mv "$certificates/.$2" "$certificates/$2"
}

write_certificates() {
    session_holds || give_up "$LOST_LOCK" "the database lock was lost: run this again"
    mkdir -p "$certificates"
    chown "$apache" "$certificates"
    chmod 700 "$certificates"
    write_certificate "$database_ca" mysql-ca
    write_certificate "$trust_store" redis-ca
}

# encrypted VALUE: as OpenEMR itself keeps a secret, with keys of its own that lie among the files. As Apache, who has
# to read the keys if this makes them. Source: openemr/openemr, src/Common/Crypto/CryptoGen.php.
encrypted() {
    (
        umask 077
        cd "$openemr" || exit 1
        export SECRET_SETTING="$1" OPENEMR_FOLDER="$openemr"
        as_apache 120 php /dev/stdin 2>/dev/null 9>&- <<'PHP'
<?php
$_GET['site'] = 'default';
$_SERVER['REQUEST_URI'] = $_SERVER['PHP_SELF'];
$_SERVER['SERVER_NAME'] = 'localhost';
$ignoreAuth = true;
ob_start();
require getenv('OPENEMR_FOLDER') . '/interface/globals.php';
ob_end_clean();
echo (new OpenEMR\Common\Crypto\CryptoGen())->encryptStandard(getenv('SECRET_SETTING'));
PHP
    )
}

# OpenEMR decrypts the mail server's password when it sends (library/classes/postmaster.php), so what lies there in
# plain text, as its own start script writes it, sends nothing.
encrypt_settings() {
    [ -n "${OPENEMR_SETTING_SMTP_PASS:-}" ] || return 0
    say "encrypting SMTP_PASS"
    kept=$(encrypted "$OPENEMR_SETTING_SMTP_PASS") || kept=''
    case $kept in
        00[0-9]?*) OPENEMR_SETTING_SMTP_PASS=$kept ;;
        *) give_up "$FAILED" "OpenEMR did not encrypt the mail server's password" ;;
    esac
}

# Every OPENEMR_SETTING_name, at each run: so the deployment's settings win over what was changed by hand.
apply_settings() {
    encrypt_settings
    php -n /dev/stdin >"$work/settings.sql" <<'PHP'
<?php
foreach (getenv() as $name => $value) {
    if (str_starts_with($name, 'OPENEMR_SETTING_')) {
        printf("INSERT INTO globals (gl_name, gl_index, gl_value)"
            . " VALUES ('%s', 0, CONVERT(X'%s' USING utf8mb4))"
            . " ON DUPLICATE KEY UPDATE gl_value = VALUES(gl_value);\n", substr($name, 16), bin2hex($value));
    }
}
PHP
    [ -s "$work/settings.sql" ] || return 0
    say "settings: $(environment_names | sed -n 's/^OPENEMR_SETTING_//p' | sort | tr '\n' ' ')"
    change "USE \`$MYSQL_DATABASE\`; START TRANSACTION; $(cat "$work/settings.sql") COMMIT"
}

# A task that waited while the credential was rotated still holds the old one: a new task gets the new one. After a
# quarter of an hour the secret has been settled, and what a task is given is right, as after a restore.
require_current_credential() {
    [ "$plan:$conf_login" != "keep:$MYSQL_USER" ] || return 0
    ! rotated_lately ||
        give_up "$BUSY" "the credential was rotated a moment ago, and this task was given the one before; run another"
}

configure() {
    restore_etc_ssl
    survey
    decide
    require_current_credential
    case $plan in
        install) install ;;
        adopt) say "adopting an installation that was restored or migrated" ;;
        keep) say "it is installed" ;;
    esac
    compare_versions
    if [ "$in_image" -lt "$in_sites" ]; then
        # CloudFormation's way back must not fail; what is there belongs to the newer image.
        say "the image ($in_image) is older than the files ($in_sites), as after a rolled-back deployment: nothing is changed"
        return 0
    fi
    say "checking certificates and database users"
    write_certificates
    user_activate "$MYSQL_USER" "$MYSQL_PASS" "$(random_password)"
    [ "$in_image" = "$in_sites" ] || upgrade
    apply_settings
    state_write installed ''
    say "marking it complete"
    rm -f "$sites/docker-leader" "$sites/docker-initiated"
    touch "$sites/docker-completed"
    say "done"
}
