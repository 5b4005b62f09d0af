# shellcheck shell=sh disable=SC2034,SC2154 # after shared/ground.sh; what is named here, the files that follow use
# Where OpenMRS' image has its things, and what the shared files need to know of them.

openmrs=${HOSTEMR_OPENMRS:-/openmrs}
trust_store=${HOSTEMR_TRUST_STORE:-/etc/pki/tls/certs/ca-bundle.crt}
web_port=${HOSTEMR_WEB_PORT:-8080}
data=$openmrs/data
distribution=$openmrs/distribution
properties=$data/openmrs-runtime.properties
# What all tasks share, on EFS. Everything else under data is one task's own, and ends with it.
shared=${SHARED_DIRECTORY:-$openmrs/shared}
# What the set-up task leaves for the workers. The last thing that it writes is `installed`, with its image's name.
handed_over=$shared/hostemr

database_host=${OMRS_DB_HOSTNAME:-}
database_port=${OMRS_DB_PORT:-}
database_name=${OMRS_DB_NAME:-}
# Modules bring functions and procedures of their own.
rights_added=', CREATE ROUTINE, ALTER ROUTINE'
rights_withheld='EVENT, GRANT OPTION'
database_ca=$openmrs/database-ca.pem
trust=$openmrs/database-ca.p12
# A PKCS #12 file wants a password, also where all that it holds is public.
trust_password=certificates

check_database() {
    check OMRS_DB_HOSTNAME '[A-Za-z0-9.:-]+'
    check OMRS_DB_PORT '[0-9]+'
    check OMRS_DB_NAME '[A-Za-z0-9_]{1,63}'
    check OMRS_DB_USERNAME '[A-Za-z0-9_]{1,29}_[ab]'
    check OMRS_DB_PASSWORD '[A-Za-z0-9]{16,64}'
    check IMAGE_REFERENCE '[A-Za-z0-9._:/@-]*'
    if [ -n "${DATABASE_CA:-}" ]; then check DATABASE_CA '.*BEGIN CERTIFICATE.*'; else check DATABASE_CA_URL 'https://.+'; fi
}

# While this is there, a worker waits for its turn and is well: ECS asks for it.
waiting=${HOSTEMR_WAITING:-/tmp/hostemr-waiting}

# The one place that says how OpenMRS reaches its database. Words of MySQL's driver, which is in every image;
# MariaDB's is in core 2.8 and later only.
jdbc_url() {
    printf 'jdbc:mysql://%s:%s/%s?autoReconnect=true&sessionVariables=default_storage_engine=InnoDB' \
        "$database_host" "$database_port" "$database_name"
    printf '&useUnicode=true&characterEncoding=UTF-8&sslMode=VERIFY_IDENTITY'
    printf '&trustCertificateKeyStoreUrl=file:%s&trustCertificateKeyStoreType=PKCS12' "$trust"
    printf '&trustCertificateKeyStorePassword=%s' "$trust_password"
}

# version_of IMAGE: a number to compare by, from X.Y.Z or X.Y.Z-rc.N in its tag. Empty for any other tag.
# %.0f, as the %d of mawk and BusyBox ends at 2147483647.
version_of() {
    version_tag=${1%%@*}
    version_tag=${version_tag##*/}
    case $version_tag in *:*) version_tag=${version_tag##*:} ;; *) version_tag='' ;; esac
    printf '%s\n' "$version_tag" | awk '
        /^[0-9]+\.[0-9]+\.[0-9]+(-rc(\.[0-9]+)?)?$/ {
            split($0, part, /[.-]/)
            candidate = part[4] == "rc" ? part[5] + 0 : 999
            printf "%.0f", ((part[1] * 1000 + part[2]) * 1000 + part[3]) * 1000 + candidate
        }'
}

# older IMAGE OTHER: whether the first is older than the second, as far as their tags tell.
older() {
    older_first=$(version_of "$1") older_second=$(version_of "$2")
    [ -n "$older_first" ] && [ -n "$older_second" ] && [ "$older_first" -lt "$older_second" ]
}
