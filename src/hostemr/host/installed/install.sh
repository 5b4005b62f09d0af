#!/bin/sh
# Runs in a container of OpenEMR's image, once: makes tables, first user and sqlconf.php, then ends.
#
# K8S=admin is upstream's own mode of configuring without serving. The "root" that the installer gets is the
# application's own user: that user can open the database already, so the installer creates neither.
set -eu
# shellcheck disable=SC1091 # written by the agent, gone when this has ended
. /run/hostemr/installation.env
cd /var/www/localhost/htdocs/openemr
# Docker fills an empty volume from the image; where it did not, this does.
[ -f sites/default/sqlconf.php ] ||
    rsync --owner --group --perms --recursive --links /swarm-pieces/sites/ sites/
export K8S=admin SWARM_MODE=no MYSQL_HOST=mysql MYSQL_DATABASE=openemr MYSQL_USER=openemr MYSQL_ROOT_USER=openemr
export MYSQL_PASS="$DATABASE_PASSWORD" MYSQL_ROOT_PASS="$DATABASE_PASSWORD"
export OE_USER=admin OE_PASS="$ADMINISTRATOR_PASSWORD"
# When the database refuses it, upstream tries again for ever.
timeout 1200 ./openemr.sh
grep -Eq '^[$]config *= *1;' sites/default/sqlconf.php || {
    echo "error: OpenEMR's installer ended without configuring it" >&2
    exit 1
}
