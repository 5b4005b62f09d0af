#!/bin/sh
# Runs in OpenEMR's container: serves what install.sh has made, and upgrades it when the image is newer.
set -eu
cd /var/www/localhost/htdocs/openemr
# An image that finds no configuration serves its installer to the first who comes, or installs with a known password.
grep -Eq '^[$]config *= *1;' sites/default/sqlconf.php || {
    echo "error: OpenEMR is not installed here: sites/default/sqlconf.php is not configured" >&2
    exit 1
}
for file in /etc/apache2/httpd.conf /etc/apache2/conf.d/*.conf; do
    sed -i -E 's/^([[:space:]]*)(CustomLog|ErrorLog|TransferLog)([[:space:]])/\1#\2\3/' "$file"
done
# Its name comes last: the image's own files are read before it.
cp /opt/hostemr/zz-hostemr.conf /etc/apache2/conf.d/zz-hostemr.conf
export MYSQL_HOST=mysql
exec ./openemr.sh
