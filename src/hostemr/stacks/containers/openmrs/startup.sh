# shellcheck shell=sh disable=SC2154 # after places.sh, client.sh
# The image's own start script: what it is given, how it is watched, and how it ends.

startup_pid=''

# startup MAY_CREATE MAY_UPDATE: start it in the background, with the application's credential and never the
# master's. The two are true or false: whether it may create tables, and whether it may change what there is.
startup() {
    quiet_startup
    drop_demonstration
    (
        for name in $(environment_names); do
            case $name in
                MASTER_* | NEXT_DB_* | DATABASE_CA | DATABASE_CA_URL | ADMINISTRATOR_USERNAME | SETUP_* | OMRS_CONFIG_*)
                    unset "$name"
                    ;;
            esac
        done
        # Only the first installation sets this password; without it, what upstream writes down is its default.
        [ "$1" = true ] || unset OMRS_ADMIN_USER_PASSWORD
        OMRS_DB_URL=$(jdbc_url)
        OMRS_JAVA_MEMORY_OPTS=$(java_options)
        export OMRS_DB=mysql OMRS_DB_URL OMRS_DB_DRIVER_CLASS=com.mysql.cj.jdbc.Driver OMRS_JAVA_MEMORY_OPTS
        # Never the wizard, which would ask nobody for a password.
        export OMRS_INSTALL_METHOD=auto OMRS_HAS_CURRENT_OPENMRS_DATABASE=true OMRS_CREATE_DATABASE_USER=false
        export OMRS_CREATE_TABLES="$1" OMRS_AUTO_UPDATE_DATABASE="$2"
        export OMRS_MODULE_WEB_ADMIN="${OMRS_MODULE_WEB_ADMIN:-false}"
        cd "$openmrs" || exit 1
        # It has no business with our lock's session.
        exec ./startup.sh 7<&- 8>&-
    ) &
    startup_pid=$!
    at_exit startup_stop
}

# The reference application's images bring a module that makes patients up, and with them users whose passwords
# everybody can read. Upstream's own images without a demonstration lack it too.
drop_demonstration() {
    [ "${DEMO_DATA:-no}" != yes ] || return 0
    for module in "$distribution"/openmrs_modules/referencedemodata-*.omod; do
        [ ! -e "$module" ] || { say "leaving out the demonstration: ${module##*/}" && rm -f "$module"; }
    done
}

# Before core 2.8.9 it prints the files in which it has written the passwords.
quiet_startup() {
    # shellcheck disable=SC2016 # the file's own words
    sed -i 's/^\([[:space:]]*\)cat "$OMRS_[A-Z_]*"[[:space:]]*$/\1:/' "$openmrs/startup-init.sh"
}

java_options() {
    printf -- '-Xmx%sm -XX:+ExitOnOutOfMemoryError' "${HEAP_MEGABYTES:-1024}"
    # Since core 2.7.5 new files go here; what is older is found in complex_obs, under the data directory.
    [ "${ATTACHMENT_STORAGE:-files}" = s3 ] || printf -- ' -Dstorage.local.dir=%s/storage' "$shared"
    [ -z "${EXTRA_JAVA_OPTS:-}" ] || printf ' %s' "$EXTRA_JAVA_OPTS"
}

check_java() {
    check HEAP_MEGABYTES '[0-9]*'
    # Upstream puts them between double quotes in a script.
    check EXTRA_JAVA_OPTS '[A-Za-z0-9 ._:/=,@+-]*'
    check ATTACHMENT_STORAGE '(files|efs|s3)?'
    check DEMO_DATA '(yes|no)?'
}

# All processes that come from the start script: it starts Tomcat in the background and hands no signal on.
startup_processes() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$startup_pid" '
        { id = $1; sub(/^.*\) /, ""); split($0, field, " "); if (field[1] != "Z") parent[id] = field[2] }
        END {
            wanted[root] = 1
            do {
                grown = 0
                for (id in parent) if (!(id in wanted) && (parent[id] in wanted)) { wanted[id] = 1; grown = 1 }
            } while (grown)
            for (id in wanted) if (id in parent) print id
        }'
}

# Tomcat gets its time to end; what is left after that is killed.
startup_stop() {
    [ -n "$startup_pid" ] || return 0
    stopping=$(startup_processes)
    # shellcheck disable=SC2086 # a list of ids
    [ -z "$stopping" ] || kill $stopping 2>/dev/null || :
    stop_until=$(($(date +%s) + ${STOP_SECONDS:-60}))
    while still_there "$stopping"; do
        if [ "$(date +%s)" -ge "$stop_until" ]; then
            # shellcheck disable=SC2086
            kill -KILL $stopping 2>/dev/null || :
            break
        fi
        sleep 0.2
    done
    wait "$startup_pid" 2>/dev/null || :
    startup_pid=''
}

# still_there IDS: also those that have lost their parent on the way.
still_there() {
    for id in $1; do
        case $(sed 's/^.*) //; s/ .*//' "/proc/$id/stat" 2>/dev/null) in '' | Z) ;; *) return 0 ;; esac
    done
    return 1
}

ask_openmrs() {
    curl --silent --max-time 20 --output "$work/page" --write-out '%{http_code}' \
        "http://localhost:$web_port/openmrs/$1" 2>/dev/null || :
}
