# shellcheck shell=sh disable=SC2034,SC2154 # after accounts.sh; configure.sh reads what state_read sets
# What the set-up task remembers, in a schema of its own that no application may read.

state_table() {
    change "CREATE DATABASE IF NOT EXISTS hostemr CHARACTER SET utf8mb4;
        CREATE TABLE IF NOT EXISTS hostemr.setup (
            application VARCHAR(64) PRIMARY KEY,
            state ENUM('installing', 'installed', 'upgrading') NOT NULL,
            image VARCHAR(512) NOT NULL,
            from_version VARCHAR(32) NOT NULL,
            rotated_at DATETIME NULL,
            changed_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)"
}

# state_write STATE FROM_VERSION
state_write() {
    image=${IMAGE_REFERENCE:-}
    say "recording: $1"
    change "INSERT INTO hostemr.setup (application, state, image, from_version)
        VALUES ('$database_name', '$1', '$image', '$2')
        ON DUPLICATE KEY UPDATE state = '$1', image = '$image', from_version = '$2', changed_at = UTC_TIMESTAMP()"
}

state_read() {
    state='' from_version=''
    ask "SELECT state, from_version FROM hostemr.setup WHERE application = '$database_name'" >"$work/state"
    IFS='	' read -r state from_version <"$work/state" || :
}

# Ends here unless there is an installation whose credential can be rotated.
require_installed() {
    has_state=$(ask "SELECT COUNT(*) FROM information_schema.tables
        WHERE table_schema = 'hostemr' AND table_name = 'setup'")
    [ "$has_state" != 0 ] || give_up "$BUSY" "nothing is installed yet"
    state_read
    [ "$state" = installed ] || give_up "$BUSY" "state is ${state:-none}, not installed: credentials stay as they are"
}

state_rotated() {
    change "UPDATE hostemr.setup SET rotated_at = UTC_TIMESTAMP() WHERE application = '$database_name'"
}

# Whether a credential that a task was given may be the one before: after a quarter of an hour the secret has been
# settled, and what a task is given is right, as after a restore.
rotated_lately() {
    rotated=$(ask "SELECT COUNT(*) FROM hostemr.setup
        WHERE application = '$database_name' AND rotated_at > UTC_TIMESTAMP() - INTERVAL 15 MINUTE")
    [ "$rotated" != 0 ]
}
