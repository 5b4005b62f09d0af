# shellcheck shell=sh disable=SC2154 # after startup.sh, shared/database.sh
# Watching a start from the outside, for the set-up task.

# What the start script said last, without any password of ours.
last_words() {
    tail -n "${LOG_LINES:-30}" "$work/startup.log" | awk '
        BEGIN {
            for (name in ENVIRON)
                if ((name ~ /PASSWORD$/ || name ~ /_PASS$/) && length(ENVIRON[name]) > 5) secret[name] = ENVIRON[name]
        }
        {
            for (name in secret)
                while ((at = index($0, secret[name])) > 0)
                    $0 = substr($0, 1, at - 1) "***" substr($0, at + length(secret[name]))
            print "    " $0
        }'
}

failed_with_words() {
    last_words
    give_up "$FAILED" "$1"
}

# startup_wait TIMEOUT: until OpenMRS has started. All changes of the database are made by then.
startup_wait() {
    began=$(date +%s) next_word=30 next_look=0 asked=no
    while :; do
        now=$(($(date +%s) - began))
        [ "$(ask_openmrs health/started)" != 200 ] || break
        if ! kill -0 "$startup_pid" 2>/dev/null; then
            startup_status=0
            wait "$startup_pid" || startup_status=$?
            failed_with_words "OpenMRS ended with status $startup_status before it had started"
        fi
        [ "$now" -lt "$1" ] || failed_with_words "OpenMRS has not started in $1 s"
        if [ "$now" -ge "$next_look" ]; then
            session_holds || give_up "$LOST_LOCK" "the database lock was lost while OpenMRS was starting: run this again"
            look_for_errors
            next_look=$((now + ${LOOK_SECONDS:-10}))
        fi
        if [ "$now" -ge "$next_word" ]; then
            say "OpenMRS is starting, for $now s now"
            next_word=$((next_word + 30))
        fi
        sleep "${HEALTH_POLL_SECONDS:-2}"
    done
    say "OpenMRS has started, after $now s"
}

# The installer's own page tells of errors after which nothing more would happen. Its work begins with the first
# request: upstream sends one after 15 s, which is too soon for a slow machine.
look_for_errors() {
    [ "${plan:-}" = install ] || return 0
    [ "$(ask_openmrs 'initialsetup?page=progress.vm.ajaxRequest')" = 200 ] || return 0
    if grep -Eq '"hasErrors" *: *true' "$work/page"; then
        failed_with_words "OpenMRS' installer reports an error"
    fi
    if [ "$now" -ge 60 ] && [ "$asked" = no ] && grep -Eq '^[{] *[}]' "$work/page"; then
        asked=yes
        ask_openmrs initialsetup >/dev/null
    fi
}
