# shellcheck shell=sh
# The task's own TLS certificate, made in the backend's container, where a JDK is, and served by the gateway.
#
# Needs `say` and `give_up STATUS WORDS`. A pair is a folder of its own, which never changes once the link `current`
# names it: who resolves the link once, and reads both files there, has a key and a certificate that belong together.
# The key stays in the task's volume. Nobody verifies the certificate: the load balancer takes any.
#
# Environment: HOSTEMR_CERTIFICATES (the shared folder), CERTIFICATE_DAYS (a pair older than this is replaced),
# CERTIFICATE_WAIT_SECONDS (for the folder, which the gateway makes writable), CERTIFICATE_CHECK_SECONDS.

certificates=${HOSTEMR_CERTIFICATES:-/certificates}
CERTIFICATE_VALID_DAYS=14

# Two ways of making one. Each writes server.key and server.crt into the folder that it is given.
certificate_by_openssl() {
    command -v openssl >/dev/null 2>&1 || return 1
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
        -days "$CERTIFICATE_VALID_DAYS" -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$1/server.key" -out "$1/server.crt" >"$1/said" 2>&1
}

certificate_by_java() {
    command -v keytool >/dev/null 2>&1 && command -v java >/dev/null 2>&1 || return 1
    # In a subshell, for what is meant for OpenMRS' own Java (an agent, a port, a heap) must not reach these.
    (
        unset JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS
        STORE_PASSWORD=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
        [ "${#STORE_PASSWORD}" = 48 ] || exit 1
        export STORE_PASSWORD
        # -groupname would be the newer word for the curve, and JDK 11 does not know it.
        keytool -J-Xmx64m -J-XX:+UseSerialGC -J-XX:TieredStopAtLevel=1 \
            -genkeypair -alias task -keyalg EC -keysize 256 -sigalg SHA256withECDSA \
            -dname CN=localhost -ext san=dns:localhost,ip:127.0.0.1 -validity "$CERTIFICATE_VALID_DAYS" \
            -storetype PKCS12 -keystore "$1/store" -storepass:env STORE_PASSWORD >"$1/said" 2>&1 || exit 1
        cat >"$1/WritePair.java" <<'JAVA'
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;

class WritePair {
    public static void main(String[] folder) throws Exception {
        char[] password = System.getenv("STORE_PASSWORD").toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (var file = Files.newInputStream(Path.of(folder[0], "store"))) {
            store.load(file, password);
        }
        write(Path.of(folder[0], "server.key"), "PRIVATE KEY", store.getKey("task", password).getEncoded());
        write(Path.of(folder[0], "server.crt"), "CERTIFICATE", store.getCertificate("task").getEncoded());
    }

    static void write(Path file, String kind, byte[] bytes) throws Exception {
        String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes);
        Files.writeString(file, "-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n");
    }
}
JAVA
        java -Xmx128m -XX:TieredStopAtLevel=1 "$1/WritePair.java" "$1" >"$1/said" 2>&1
    )
}

certificate_complete() {
    [ -s "$1/server.key" ] && [ -s "$1/server.crt" ]
}

# A new pair in the place of the one before, whatever its age. Who is killed here leaves the old one in service.
certificate_renew() {
    certificate_umask=$(umask)
    umask 077
    certificate_folder=$(mktemp -d "$certificates/pair.$(date +%s).XXXXXX") ||
        give_up 1 "cannot write into $certificates, where the gateway reads its certificate"
    if certificate_by_openssl "$certificate_folder" && certificate_complete "$certificate_folder"; then
        certificate_way=openssl
    elif certificate_by_java "$certificate_folder" && certificate_complete "$certificate_folder"; then
        certificate_way=keytool
    else
        certificate_why=$(tail -n 1 "$certificate_folder/said" 2>/dev/null || :)
        rm -rf "$certificate_folder"
        give_up 1 "no certificate: neither openssl nor keytool with java could make one" \
            "(${certificate_why:-the image has neither}). Use an image with a JDK, not with a JRE only"
    fi
    rm -f "$certificate_folder/said" "$certificate_folder/store" "$certificate_folder/WritePair.java"
    # The gateway is of the same group, root's, also where it has lost the right to read everything.
    {
        chmod 640 "$certificate_folder/server.key" "$certificate_folder/server.crt" &&
            chmod 750 "$certificate_folder" &&
            ln -s "${certificate_folder##*/}" "$certificate_folder.link" &&
            mv -f -T "$certificate_folder.link" "$certificates/current"
    } || give_up 1 "the new certificate could not be put into $certificates"
    umask "$certificate_umask"
    say "made the task's certificate by $certificate_way, valid for $CERTIFICATE_VALID_DAYS days"
    certificate_clear
}

# What was replaced, or left half-made, an hour ago. Younger ones may still be read, or be in the making.
certificate_clear() {
    for certificate_old in "$certificates"/pair.*; do
        certificate_age "${certificate_old##*/}" || continue
        if [ "${certificate_old##*/}" != "$(readlink "$certificates/current")" ] &&
            [ "$certificate_seconds" -gt 3600 ]; then
            rm -rf "$certificate_old"
        fi
    done
}

# The seconds since the pair of this name was made, in certificate_seconds. Fails where the name does not tell.
certificate_age() {
    certificate_made=${1#pair.}
    certificate_made=${certificate_made%%.*}
    case $certificate_made in '' | *[!0-9]*) return 1 ;; esac
    certificate_seconds=$(($(date +%s) - certificate_made))
}

# certificate_make: there is a pair that is young enough, or this makes one.
certificate_make() {
    case ${CERTIFICATE_DAYS:=2} in
    [1-9] | 1[0-2]) ;;
    *) give_up 2 "CERTIFICATE_DAYS is $CERTIFICATE_DAYS: it has to be 1 to 12, as a certificate is valid for" \
        "$CERTIFICATE_VALID_DAYS days" ;;
    esac
    certificate_until=$(($(date +%s) + ${CERTIFICATE_WAIT_SECONDS:-300}))
    until [ -d "$certificates" ] && [ -w "$certificates" ]; do
        [ "$(date +%s)" -lt "$certificate_until" ] ||
            give_up 1 "$certificates is not there, or not to be written by user $(id -u): the gateway makes it so"
        sleep 1
    done
    certificate_now=$(readlink "$certificates/current" || :)
    if certificate_complete "$certificates/${certificate_now:-none}" && certificate_age "$certificate_now" &&
        [ "$certificate_seconds" -ge 0 ] && [ "$certificate_seconds" -lt $((CERTIFICATE_DAYS * 86400)) ]; then
        return 0
    fi
    certificate_renew
}

# certificate_keep &: makes the next pair when it is time. A failure is said, and tried again at the next look.
certificate_keep() {
    while :; do
        sleep "${CERTIFICATE_CHECK_SECONDS:-3600}" >/dev/null 2>&1
        (certificate_make) || say "warning: the certificate was not renewed; the one before stays in service"
    done
}
