# shellcheck shell=sh disable=SC2154 # after places.sh
# A task's own data directory: what it is given of what all tasks share, and the runtime properties.

# properties_write AUTO_UPDATE: without this file OpenMRS takes any database for one to be installed.
properties_write() {
    mkdir -p "$data"
    {
        printf 'connection.url=%s\n' "$(jdbc_url)"
        printf 'connection.username=%s\nconnection.password=%s\n' "$OMRS_DB_USERNAME" "$OMRS_DB_PASSWORD"
        printf 'connection.driver_class=com.mysql.cj.jdbc.Driver\n'
        printf 'auto_update_database=%s\n' "$1"
        printf 'module.allow_web_admin=%s\n' "${OMRS_MODULE_WEB_ADMIN:-false}"
        # The image adds what it is told of the search by itself at a first installation only.
        printf 'hibernate.search.backend.type=%s\n' "${OMRS_SEARCH:-lucene}"
        printf 'hibernate.search.backend.analysis.configurer=%s\n' "${OMRS_SEARCH_CONFIG:-${OMRS_SEARCH:-lucene}Config}"
        [ "${OMRS_SEARCH:-lucene}" = lucene ] || printf 'hibernate.search.backend.uris=%s\n' "${OMRS_SEARCH_ES_URIS:-}"
        [ ! -f "$handed_over/encryption.properties" ] || cat "$handed_over/encryption.properties"
    } >"$properties.new"
    chmod 600 "$properties.new"
    mv -f "$properties.new" "$properties"
}

# Attachments, and results of reports that users come back for. Nothing else is anyone's but this task's.
link_shared() {
    for folder in complex_obs REPORT_RESULTS; do
        [ "$folder:${ATTACHMENT_STORAGE:-files}" != complex_obs:s3 ] || continue
        mkdir -p "$shared/$folder"
        # The image brings an empty directory; one with files in it is somebody's mistake, and not ours to remove.
        [ ! -d "$data/$folder" ] || [ -L "$data/$folder" ] || rmdir "$data/$folder" ||
            give_up "$REFUSED" "$data/$folder holds files, and would be hidden by $shared/$folder"
        ln -sfn "$shared/$folder" "$data/$folder"
    done
    [ "${ATTACHMENT_STORAGE:-files}" = s3 ] || mkdir -p "$shared/storage"
}

# The Initializer module loads what it has no checksum of: without these, each start would load everything again.
copy_checksums() {
    rm -rf "$data/configuration_checksums"
    mkdir -p "$data/configuration_checksums"
    [ ! -d "$handed_over/configuration_checksums" ] ||
        cp -R "$handed_over/configuration_checksums/." "$data/configuration_checksums/"
}
