# shellcheck shell=sh
# The gateway of a task of OpenMRS: TLS for the load balancer, and the ways to frontend and backend, by any nginx
# image. Upstream's own configuration names hosts that do not exist in a task, and lies elsewhere in each release.
#
# Needs `say` and `give_up STATUS WORDS`, busybox and nginx 1.22 or newer. Ends as nginx does; 1 where no usable
# certificate came in time, 2 where the environment is not what this needs.
#
# Environment: HOSTEMR_CERTIFICATES (see certificate.sh), CERTIFICATE_WAIT_SECONDS, CERTIFICATE_WATCH_SECONDS,
# BACKEND_USER (who makes the certificate), GATEWAY_PORT (TLS), GATEWAY_LOCAL_PORT (the same without TLS, on the
# loopback only, for the container's health check), UPLOAD_MEGABYTES, REQUEST_SECONDS (the load balancer's idle
# timeout), FRAME_ANCESTORS (origins that may show the pages in a frame), TRUSTED_PROXIES (whose X-Forwarded-For
# counts), FRONTEND_ADDRESS, BACKEND_ADDRESS.

gateway_configuration() {
    cat <<'NGINX'
@USER@
worker_processes auto;
pid @WORK@/nginx.pid;
# Starts, reloads and ends of processes. What concerns a request is below, and says less.
error_log stderr notice;
events {
    worker_connections 2048;
}
http {
    # Lines of level error hold the whole request, and patients' names stand in query strings. The access log tells
    # of the same failures by status, without them.
    error_log stderr crit;
    log_format hostemr '$time_iso8601 $remote_addr $request_method $logged_path $status $body_bytes_sent '
                       '${request_time}s backend=$upstream_status ${upstream_response_time}s';
    map $request_uri $logged_path {
        "~^(?<before_query>[^?;]*)" $before_query;
        default -;
    }
    map $logged_path:$status $logged {
        "~^/gateway/[a-z]+:200$" 0;
        default 1;
    }
    access_log /dev/stdout hostemr if=$logged;

    server_tokens off;
    default_type text/plain;
    tcp_nopush on;
    client_body_temp_path @WORK@/body;
    proxy_temp_path @WORK@/proxy;
    fastcgi_temp_path @WORK@/fastcgi;
    uwsgi_temp_path @WORK@/uwsgi;
    scgi_temp_path @WORK@/scgi;

    # Longer than the load balancer's idle timeout, so that it is never the gateway that drops an idle connection
    # which the load balancer is about to use.
    keepalive_timeout @KEEP_ALIVE@s;
    @KEEP_ALIVE_LEAST@
    client_header_timeout 60s;
    client_body_timeout @SECONDS@s;
    send_timeout @SECONDS@s;
    # The REST API's representations are long, and the load balancer lets 16 KB pass in a line, 64 KB in all.
    large_client_header_buffers 4 32k;
    client_max_body_size @MEGABYTES@m;

    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;
    ssl_session_cache shared:tls:2m;
    ssl_session_tickets off;
    ssl_certificate @PAIR@/server.crt;
    ssl_certificate_key @PAIR@/server.key;

    # The load balancer appends the address that it sees: the last one is true, those before are the client's word.
    @TRUSTED@
    real_ip_header X-Forwarded-For;
    map $http_x_forwarded_proto $client_scheme {
        http http;
        https https;
        default $scheme;
    }
    map $client_scheme $secure {
        https secure;
        default "";
    }
    map $http_host $client_host {
        "" $host;
        default $http_host;
    }
    map $http_upgrade $hop {
        "~*^websocket$" upgrade;
        default close;
    }
    map $http_upgrade $upgrade {
        "~*^websocket$" $http_upgrade;
        default "";
    }

    proxy_http_version 1.1;
    proxy_set_header Host $client_host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $client_scheme;
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header X-Forwarded-Prefix "";
    proxy_set_header Forwarded "";
    proxy_set_header Upgrade $upgrade;
    proxy_set_header Connection $hop;
    proxy_connect_timeout 5s;
    proxy_read_timeout @SECONDS@s;
    proxy_send_timeout @SECONDS@s;
    # Nothing of a patient's on the disk: bodies go on as they come.
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_buffer_size 32k;
    proxy_buffers 8 32k;
    proxy_busy_buffers_size 64k;
    # What may have changed something is never sent a second time.
    proxy_next_upstream off;
    # Images of Tomcat that come with OpenMRS know nothing of X-Forwarded-Proto.
    proxy_cookie_flags ~ $secure;
    proxy_hide_header X-Powered-By;
    proxy_hide_header X-Content-Type-Options;

    gzip on;
    gzip_vary on;
    gzip_proxied any;
    gzip_min_length 1024;
    gzip_types text/css text/csv text/javascript text/plain text/xml application/javascript application/json
        application/fhir+json application/fhir+xml application/importmap+json application/manifest+json
        application/xml image/svg+xml font/ttf font/otf;

    # The application builds scripts as it runs, as do its older pages. Only the newer ones go into others' frames.
    map $uri $frames {
        "~^/openmrs/(admin|dictionary|module|owa|patientDashboard\.form)(/|$)" "'self'";
        default "'self'@ANCESTORS@";
    }
    map $status $no_store {
        503 no-store;
        default "";
    }
    map $status $retry_after {
        503 15;
        default "";
    }
    add_header Content-Security-Policy "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; base-uri 'self'; frame-ancestors $frames" always;
    add_header X-Content-Type-Options nosniff always;
    add_header Referrer-Policy same-origin always;
    add_header Cache-Control $no_store always;
    add_header Retry-After $retry_after always;

    # Only what never reached the container may be sent again without a thought: that alone is "starting".
    map "$upstream_connect_time $http_accept" $unanswered {
        "~*^- .*text/html" @starting_page;
        "~*^- .*application/([a-z.-]+\+)?json" @starting_json;
        "~^- " @starting_page;
        default @broken_off;
    }

    server {
        listen @PORT@ ssl default_server;
        listen 127.0.0.1:@LOCAL_PORT@ default_server;
        # The load balancer's port and name are not ours.
        absolute_redirect off;
        error_page 502 = $unanswered;

        location = / {
            return 301 /openmrs/spa/home;
        }
        location = /openmrs/spa {
            return 301 /openmrs/spa/home;
        }
        # The entry of all releases: 3.2's frontend redirects there, 3.7's gateway does.
        location = /openmrs/spa/ {
            return 301 /openmrs/spa/home;
        }
        location /openmrs/spa/ {
            proxy_pass http://@FRONTEND@/;
            proxy_redirect /openmrs/ /openmrs/;
            proxy_redirect http://$client_host/ /openmrs/spa/;
            proxy_redirect http://$host/ /openmrs/spa/;
            proxy_redirect / /openmrs/spa/;
        }
        location = /openmrs {
            proxy_pass http://@BACKEND@;
            proxy_redirect http://$client_host/ $client_scheme://$client_host/;
        }
        location /openmrs/ {
            proxy_pass http://@BACKEND@;
            proxy_redirect http://$client_host/ $client_scheme://$client_host/;
        }
        location / {
            return 404;
        }

        location = /gateway/alive {
            return 200 "alive\n";
        }
        location = /gateway/ready {
            auth_request /gateway/frontend;
            error_page 401 403 500 502 504 = @not_ready;
            proxy_connect_timeout 2s;
            proxy_read_timeout 5s;
            proxy_pass http://@BACKEND@/openmrs/health/started;
        }
        location = /gateway/frontend {
            internal;
            proxy_connect_timeout 2s;
            proxy_read_timeout 5s;
            proxy_pass_request_body off;
            proxy_pass http://@FRONTEND@/index.html;
        }
        location @not_ready {
            return 503 "frontend or backend does not answer\n";
        }
        location @broken_off {
            return 502 "OpenMRS broke off. What you sent just now may or may not have been saved: please look.\n";
        }
        location @starting_page {
            default_type "text/html; charset=utf-8";
            return 503 "<!doctype html><html lang='en'><meta name='viewport' content='width=device-width'><title>OpenMRS is starting</title><h1>OpenMRS is starting</h1><p>Please try again in a minute. What you sent just now has not been saved.</p>\n";
        }
        location @starting_json {
            default_type application/json;
            return 503 "{\"error\":{\"message\":\"OpenMRS is starting\",\"code\":\"starting\"}}\n";
        }
    }
}
NGINX
}

# gateway_number NAME VALUE LEAST MOST: what is wrong is gathered, so that all of it is said at once.
gateway_wrong=''
gateway_number() {
    case $2 in '' | *[!0-9]* | ????????*) ;; *) if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then return; fi ;; esac
    gateway_wrong="$gateway_wrong$1 is '$2', and has to be $3 to $4. "
}

# gateway_text NAME VALUE PATTERN-OF-REFUSED-CHARACTERS: these go into nginx's configuration as they are.
gateway_text() {
    # shellcheck disable=SC2254 # a pattern is what is meant
    case $2 in *$3*) gateway_wrong="$gateway_wrong$1 is '$2', and holds a character that is not allowed. " ;; esac
}

gateway_settings() {
    certificates=${HOSTEMR_CERTIFICATES:-/certificates}
    gateway_number GATEWAY_PORT "${GATEWAY_PORT:=8443}" 1 65535
    gateway_number GATEWAY_LOCAL_PORT "${GATEWAY_LOCAL_PORT:=8081}" 1 65535
    gateway_number UPLOAD_MEGABYTES "${UPLOAD_MEGABYTES:=512}" 1 10240
    gateway_number REQUEST_SECONDS "${REQUEST_SECONDS:=300}" 1 4000
    gateway_number CERTIFICATE_WAIT_SECONDS "${CERTIFICATE_WAIT_SECONDS:=300}" 1 3600
    gateway_number CERTIFICATE_WATCH_SECONDS "${CERTIFICATE_WATCH_SECONDS:=30}" 1 3600
    gateway_text FRAME_ANCESTORS "${FRAME_ANCESTORS:=}" "[!A-Za-z0-9:/.*_' -]"
    gateway_text TRUSTED_PROXIES "${TRUSTED_PROXIES:=127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10}" \
        '[!0-9a-f:./ ]'
    gateway_text FRONTEND_ADDRESS "${FRONTEND_ADDRESS:=127.0.0.1:80}" '[!0-9.:]'
    gateway_text BACKEND_ADDRESS "${BACKEND_ADDRESS:=127.0.0.1:8080}" '[!0-9.:]'
    command -v nginx >/dev/null 2>&1 || gateway_wrong="${gateway_wrong}The image has no nginx. "
    [ -z "$gateway_wrong" ] || give_up 2 "$gateway_wrong"

    gateway_trusted=''
    for gateway_proxy in $TRUSTED_PROXIES; do
        gateway_trusted="${gateway_trusted}set_real_ip_from $gateway_proxy; "
    done
    # The group of nobody has another name in each distribution, and nginx wants to be told.
    gateway_user=''
    [ "$(id -u)" != 0 ] || gateway_user="user nobody $(id -gn nobody);"
    # Known since 1.27.4: a reload then leaves a connection open that the load balancer has just used.
    gateway_least="keepalive_min_timeout 20s;"
    printf 'pid %s/probe.pid;\nevents {}\nhttp { %s }\n' "$gateway_work" "$gateway_least" >"$gateway_work/probe.conf"
    nginx -t -q -e stderr -p "$gateway_work/" -c "$gateway_work/probe.conf" >/dev/null 2>&1 || gateway_least=''
}

# gateway_write PAIR: the configuration that serves the key and the certificate of this folder.
gateway_write() {
    gateway_configuration | sed \
        -e "s|@WORK@|$gateway_work|g" -e "s|@PAIR@|$1|g" -e "s|@USER@|$gateway_user|" \
        -e "s|@TRUSTED@|$gateway_trusted|" -e "s|@KEEP_ALIVE_LEAST@|$gateway_least|" \
        -e "s|@KEEP_ALIVE@|$((REQUEST_SECONDS + 60))|" -e "s|@SECONDS@|$REQUEST_SECONDS|" \
        -e "s|@MEGABYTES@|$UPLOAD_MEGABYTES|" -e "s|@ANCESTORS@|${FRAME_ANCESTORS:+ $FRAME_ANCESTORS}|" \
        -e "s|@PORT@|$GATEWAY_PORT|" -e "s|@LOCAL_PORT@|$GATEWAY_LOCAL_PORT|" \
        -e "s|@FRONTEND@|$FRONTEND_ADDRESS|" -e "s|@BACKEND@|$BACKEND_ADDRESS|" >"$gateway_work/next.conf"
}

# Takes the pair that the link names now; fails where there is none, or none that was not looked at before. A pair is
# copied and tried before the configuration names it, so a broken one never comes into service.
gateway_seen=''
gateway_taken=''
gateway_take() {
    gateway_name=$(readlink "$certificates/current" 2>/dev/null) || return 1
    [ "$gateway_name" != "$gateway_seen" ] || return 1
    gateway_pair=$gateway_work/private/${gateway_name##*/}
    mkdir -p "$gateway_pair"
    # Replaced meanwhile, or not whole: the next look tells.
    cp "$certificates/$gateway_name/server.key" "$certificates/$gateway_name/server.crt" "$gateway_pair/" 2>/dev/null ||
        return 1
    gateway_seen=$gateway_name
    gateway_write "$gateway_pair"
    if ! nginx -t -q -e stderr -p "$gateway_work/" -c "$gateway_work/next.conf" >"$gateway_work/said" 2>&1; then
        say "warning: nginx cannot serve the certificate $gateway_name:" \
            "$(grep -v '\[warn\]' "$gateway_work/said" | head -n 1)"
        rm -rf "$gateway_pair"
        return 1
    fi
    mv "$gateway_work/next.conf" "$gateway_work/nginx.conf"
    for gateway_old in "$gateway_work"/private/*; do
        case $gateway_old in "$gateway_pair" | "$gateway_taken") ;; *) rm -rf "$gateway_old" ;; esac
    done
    gateway_taken=$gateway_pair
}

# New workers begin with the new pair, while the old ones end what they have begun.
gateway_watch() {
    while :; do
        sleep "$CERTIFICATE_WATCH_SECONDS" >/dev/null 2>&1
        if gateway_take; then
            say "serving a new certificate, $gateway_name"
            kill -HUP "$gateway_nginx"
        fi
    done
}

# Lets nginx end the requests under way. It writes its pid once it listens to signals; one that comes before is lost.
gateway_nginx=''
gateway_leaving=''
gateway_leave() {
    gateway_leaving=yes
    [ -n "$gateway_nginx" ] || return 0
    until [ -s "$gateway_work/nginx.pid" ] || ! kill -0 "$gateway_nginx" 2>/dev/null; do
        sleep 1
    done
    kill -QUIT "$gateway_nginx" 2>/dev/null || :
}

# QUIT too: images of nginx ask to be stopped by it, and ECS does as the image asks.
trap gateway_leave TERM INT QUIT
gateway_work=$(mktemp -d)
umask 077
gateway_settings
# nginx' workers are nobody, and want to reach folders of theirs; keys are in one that only root reaches.
chmod 711 "$gateway_work"
mkdir "$gateway_work/private"

# The volume comes as root's, and the backend, which is not root, makes the certificate. Group 0 is root's here and
# the backend's there, as its image is built.
if [ "$(id -u)" = 0 ]; then
    { chown "${BACKEND_USER:-1001}:0" "$certificates" && chmod 770 "$certificates"; } ||
        say "warning: $certificates could not be given to user ${BACKEND_USER:-1001}"
fi
say "waiting for the task's certificate"
gateway_until=$(($(date +%s) + CERTIFICATE_WAIT_SECONDS))
until gateway_take; do
    if [ -n "$gateway_leaving" ]; then
        exit 0
    fi
    [ "$(date +%s)" -lt "$gateway_until" ] ||
        give_up 1 "no usable certificate in $certificates after $CERTIFICATE_WAIT_SECONDS seconds: see the backend's log"
    sleep 1
done

say "serving on port $GATEWAY_PORT"
nginx -e stderr -p "$gateway_work/" -c "$gateway_work/nginx.conf" -g 'daemon off;' &
gateway_nginx=$!
[ -z "$gateway_leaving" ] || gateway_leave
gateway_watch &
gateway_watcher=$!
# A signal ends a wait, not nginx.
while :; do
    gateway_status=0
    wait "$gateway_nginx" || gateway_status=$?
    kill -0 "$gateway_nginx" 2>/dev/null || break
done
kill "$gateway_watcher" 2>/dev/null || :
rm -rf "$gateway_work"
say "nginx has ended with status $gateway_status"
exit "$gateway_status"
