# shellcheck shell=sh disable=SC2154,SC2034 # after ground.sh, before those who read conf_*
# OpenEMR's sites/default/sqlconf.php: where its database is, and as whom to log in. PHP reads it at each request.

# Sets conf_state to absent, 0 (the image's skeleton), 1 (configured) or unreadable, and what the file says.
# Upstream's installer writes $config = 1 after the tables and before the first user: 1 does not mean "complete".
sqlconf_read() {
    conf_state=absent conf_host='' conf_port='' conf_login='' conf_pass='' conf_dbase=''
    [ -f "$sqlconf" ] || return 0
    conf_state=unreadable
    php -n /dev/stdin "$sqlconf" >"$work/sqlconf" 2>/dev/null <<'PHP' || return 0
<?php
error_reporting(0);
ob_start();
require $argv[1];
ob_end_clean();
if (!isset($config)) {
    exit(1);
}
echo implode("\n", [$config ? 1 : 0, $host, $port, $login, $pass, $dbase]), "\n";
PHP
    {
        read -r conf_state && read -r conf_host && read -r conf_port &&
            read -r conf_login && read -r conf_pass && read -r conf_dbase
    } <"$work/sqlconf" || conf_state=unreadable
    rm -f "$work/sqlconf"
}

# sqlconf_write LOGIN PASSWORD: with host, port and database of this deployment. A reader finds the old file or
# the new one, never half of one; owner kept, mode 400. Does nothing when the file says so already.
sqlconf_write() {
    SQLCONF_LOGIN=$1 SQLCONF_PASS=$2 php -n /dev/stdin "$sqlconf" <<'PHP' ||
<?php
function fail(string $why): never
{
    fwrite(STDERR, "sqlconf.php: $why\n");
    exit(1);
}
$file = $argv[1];
$old = file_get_contents($file);
$text = $old;
$values = [
    'host' => getenv('MYSQL_HOST'),
    'port' => getenv('MYSQL_PORT'),
    'login' => getenv('SQLCONF_LOGIN'),
    'pass' => getenv('SQLCONF_PASS'),
    'dbase' => getenv('MYSQL_DATABASE'),
];
foreach ($values as $name => $value) {
    $line = '$' . $name . "\t= " . var_export((string) $value, true) . ';';
    $pattern = '/^\$' . $name . '[ \t]*=[ \t]*(\'(?:[^\'\\\\]|\\\\.)*\'|"(?:[^"\\\\$]|\\\\.)*"|\d+)[ \t]*;/m';
    $text = preg_replace_callback($pattern, fn () => $line, $text, 1, $count);
    if ($count !== 1) {
        fail("it has no line that sets \$$name");
    }
}
if ($text === $old && (fileperms($file) & 0777) === 0400) {
    exit(0);
}
$new = "$file.new";
@unlink($new);
$handle = fopen($new, 'x');
if (!$handle || fwrite($handle, $text) !== strlen($text) || !fflush($handle) || !fsync($handle)) {
    fail('cannot write the new file');
}
fclose($handle);
// The owner is set before the name: at no moment is Apache shown a file that it cannot read.
if (!chown($new, fileowner($file)) || !chgrp($new, filegroup($file)) || !chmod($new, 0400) || !rename($new, $file)) {
    fail('cannot put the new file in place');
}
PHP
        give_up "$FAILED" "cannot write $sqlconf"
}
