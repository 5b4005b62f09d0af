# shellcheck shell=sh disable=SC2154 # after ground.sh, sqlconf.sh
# A web task: serves what the set-up task has configured, and never configures anything itself.
#
# Exit status is 1 when nothing is configured (the set-up task has not ended), 3 when the cache cannot be used;
# otherwise it is Apache's.

# The load balancer takes any certificate, so each task makes its own and no key is shared or kept.
own_certificate() {
    key=$etc/ssl/private/webserver.key.pem
    certificate=$etc/ssl/certs/webserver.cert.pem
    if [ ! -s "$key" ] || [ ! -s "$certificate" ]; then
        say "making this task's certificate"
        mkdir -p "$etc/ssl/private" "$etc/ssl/certs"
        rm -f "$key" "$certificate"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 397 \
            -subj "/CN=$(hostname)" -keyout "$key" -out "$certificate" 2>"$work/openssl" ||
            give_up "$FAILED" "openssl: $(tail -n 1 "$work/openssl")"
    fi
    chmod 600 "$key"
    chmod 644 "$certificate"
    # So that upstream's ssl.sh puts no certificate of its own in its place.
    touch "$etc/ssl/docker-selfsigned-configured"
}

# Newer images let a worker of a swarm become its leader, and install, while sites/docker-completed is missing.
require_configuration() {
    sqlconf_read
    [ "$conf_state" = 1 ] ||
        give_up "$FAILED" "OpenEMR is not configured (sqlconf.php is $conf_state): the set-up task has to run first"
    [ -f "$sites/docker-completed" ] ||
        give_up "$FAILED" "the set-up task has not ended (sites/docker-completed is missing)"
}

# Without the cache upstream falls back to sessions in files, silently, and users lose their login from task to task.
require_cache() {
    [ -n "${REDIS_SERVER:-}" ] || give_up "$WRONG_USE" "neither REDIS_SERVER nor SESSIONS=files is set"
    cache_until=$(($(date +%s) + ${CACHE_WAIT_SECONDS:-60}))
    until php /dev/stdin "$trust_store" 2>"$work/cache" <<'PHP'
<?php
error_reporting(0);
[$host, $port] = explode(':', getenv('REDIS_SERVER') . ':6379');
$tls = getenv('REDIS_TLS') === 'yes';
$context = stream_context_create(['ssl' => ['cafile' => $argv[1], 'peer_name' => $host]]);
$address = ($tls ? 'tls' : 'tcp') . "://$host:$port";
$cache = stream_socket_client($address, $number, $why, 5, STREAM_CLIENT_CONNECT, $context);
if (!$cache) {
    fwrite(STDERR, $why ?: 'no connection, or a certificate that is not to be trusted');
    exit(1);
}
stream_set_timeout($cache, 5);
$say = function (string ...$words) use ($cache): string {
    $line = '*' . count($words) . "\r\n";
    foreach ($words as $word) {
        $line .= '$' . strlen($word) . "\r\n$word\r\n";
    }
    fwrite($cache, $line);
    return (string) fgets($cache);
};
$login = array_filter([getenv('REDIS_PASSWORD') ? getenv('REDIS_USERNAME') : '', getenv('REDIS_PASSWORD')]);
$answer = $login ? $say('AUTH', ...$login) : '+OK';
$answer = $answer[0] === '+' ? $say('PING') : $answer;
if (($answer[0] ?? '') !== '+') {
    fwrite(STDERR, 'it answers: ' . substr($answer, 1, 20));
    exit(1);
}
PHP
    do
        [ "$(date +%s)" -lt "$cache_until" ] ||
            give_up "$UNREACHABLE" "no cache at $REDIS_SERVER: $(head -n 1 "$work/cache")"
        say "waiting for the cache"
        sleep 1
    done
}

# PHP's errors go to Apache's log, and never to a page.
errors_to_log() {
    for folder in "$etc"/php*/conf.d; do
        [ -d "$folder" ] || give_up "$FAILED" "the image has no $etc/php*/conf.d"
        printf 'log_errors = On\ndisplay_errors = Off\n' >"$folder/99-hostemr.ini"
    done
}

# Written here, since upstream knows port 6379 only, prints the password (newer images) and locks no session.
sessions_in_cache() {
    for folder in "$etc"/php*/conf.d; do
        php /dev/stdin "$certificates/redis-ca" >>"$folder/99-hostemr.ini" <<'PHP'
<?php
[$host, $port] = explode(':', getenv('REDIS_SERVER') . ':6379');
$query = [];
if (getenv('REDIS_PASSWORD')) {
    if (getenv('REDIS_USERNAME')) {
        $query[] = 'auth[user]=' . rawurlencode(getenv('REDIS_USERNAME'));
    }
    $query[] = 'auth[pass]=' . rawurlencode(getenv('REDIS_PASSWORD'));
}
$tls = getenv('REDIS_TLS') === 'yes';
if ($tls) {
    $query[] = "stream[cafile]=file://$argv[1]";
}
$path = ($tls ? 'tls' : 'tcp') . "://$host:$port" . ($query ? '?' . implode('&', $query) : '');
echo "session.save_handler = redis\nsession.save_path = \"$path\"\n";
echo "redis.session.locking_enabled = 1\nredis.session.lock_retries = -1\nredis.session.lock_expire = 60\n";
PHP
    done
    touch "$etc/php-redis-configured"
}

# Patients' names and numbers travel in OpenEMR's addresses: what follows the ? is logged nowhere, no referer is.
logs_to_stdout() {
    for file in "$etc/apache2/httpd.conf" "$etc"/apache2/conf.d/*.conf; do
        [ ! -f "$file" ] || sed -i -E 's/^([[:space:]]*)(CustomLog|ErrorLog|TransferLog)([[:space:]])/\1#\2\3/' "$file"
    done
    # Its name comes last: the image's own files are read before it.
    cat >"$etc/apache2/conf.d/zz-hostemr.conf" <<'CONF'
<IfModule !remoteip_module>
    <IfFile /usr/lib/apache2/mod_remoteip.so>
        LoadModule remoteip_module /usr/lib/apache2/mod_remoteip.so
    </IfFile>
</IfModule>
<IfModule remoteip_module>
    RemoteIPHeader X-Forwarded-For
    RemoteIPInternalProxy 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16
</IfModule>
LogFormat "%{%Y-%m-%dT%H:%M:%S%z}t %a %m %U %H %>s %B %{ms}T" hostemr
CustomLog /proc/self/fd/1 hostemr
ErrorLogFormat "%{cu}t [%-m:%l] [pid %P] [client %a] %M"
ErrorLog /proc/self/fd/2
CONF
    chmod 644 "$etc/apache2/conf.d/zz-hostemr.conf"
}

restore_etc_ssl
require_configuration
own_certificate
errors_to_log
# Asked for by name, for a deployment that never runs a second task.
if [ "${SESSIONS:-cache}" = files ]; then
    say "sessions are in this task's files"
else
    require_cache
    sessions_in_cache
fi
logs_to_stdout
# A worker has no business with these, whoever set them.
unset MYSQL_ROOT_USER MYSQL_ROOT_PASS OE_USER OE_PASS
say "starting OpenEMR"
rm -rf "$work"
umask 022
cd "$openemr" || exit 1
export K8S=worker SWARM_MODE=yes
exec ./openemr.sh
