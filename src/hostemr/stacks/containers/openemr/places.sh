# shellcheck shell=sh disable=SC2034,SC2154 # after shared/ground.sh; what is named here, the files that follow use
# Where OpenEMR's image has its things, and what the shared files need to know of them.

openemr=${HOSTEMR_OPENEMR:-/var/www/localhost/htdocs/openemr}
root_home=${HOSTEMR_ROOT_HOME:-/root}
pieces=${HOSTEMR_PIECES:-/swarm-pieces}
etc=${HOSTEMR_ETC:-/etc}
apache=${HOSTEMR_APACHE:-apache}
trust_store=${HOSTEMR_TRUST_STORE:-$etc/ssl/certs/ca-certificates.crt}
sites=$openemr/sites
sqlconf=$sites/default/sqlconf.php
certificates=$sites/default/documents/certificates

# Only the set-up task is given these.
database_host=${MYSQL_HOST:-}
database_port=${MYSQL_PORT:-}
database_name=${MYSQL_DATABASE:-}
rights_withheld='EVENT, CREATE ROUTINE, ALTER ROUTINE, GRANT OPTION'

# The image's own files come back where an empty volume hides them.
restore_etc_ssl() {
    [ ! -f "$etc/ssl/openssl.cnf" ] || return 0
    say "restoring $etc/ssl"
    mkdir -p "$etc/ssl"
    rsync --owner --group --perms --recursive --links "$pieces/ssl/" "$etc/ssl/"
}

# as_apache SECONDS COMMAND…: in place of this shell, for so long at most. Later images refuse to run PHP as root
# (openemr#12267), and earlier ones have no su-exec.
as_apache() {
    apache_seconds=$1
    shift
    if [ "$(id -u)" != 0 ] || [ "$apache" = root ]; then
        exec timeout "$apache_seconds" "$@"
    elif command -v su-exec >/dev/null; then
        exec timeout "$apache_seconds" su-exec "$apache" "$@"
    else
        # busybox su takes for its own every option that follows, so the words travel inside one argument.
        exec timeout "$apache_seconds" su -s /bin/sh "$apache" -c "exec $*"
    fi
}
