"""The settings that only OpenMRS has, but for its images."""

from __future__ import annotations

from hostemr.deployment.parsers import BOOLEAN, CONFIG_URLS, SEARCH_URIS, one_of, whole
from hostemr.deployment.setting import Setting

OPENMRS = (
    Setting(
        name="openmrs_attachment_storage",
        attribute="attachment_storage",
        kind=one_of("files", "s3"),
        default="files",
        meaning="Where patients' attachments are kept: on the shared file system, or in an S3 bucket of their own, "
        "which the backups cover too. S3 needs version 3.6.0 or later. What is in one place is not moved to the other.",
        applications=("openmrs",),
        elsewhere="files",
    ),
    Setting(
        name="openmrs_clustered_cache",
        attribute="clustered_cache",
        kind=BOOLEAN,
        default=False,
        meaning="Lets the tasks tell each other what has changed, so that none answers from an outdated cache. Needs "
        "version 3.6.0 or later.",
        applications=("openmrs",),
        elsewhere=False,
    ),
    Setting(
        name="openmrs_search_uris",
        attribute="search_uris",
        kind=SEARCH_URIS,
        default=(),
        meaning="Addresses of an Elasticsearch or OpenSearch cluster of your own, for a search index that all tasks "
        "share. Null gives each task an index of its own, and then one does not find the patients whom another "
        "has registered since it started. Needs version 3.6.0 or later.",
        applications=("openmrs",),
        elsewhere=(),
    ),
    Setting(
        name="openmrs_demo_data",
        attribute="demo_data",
        kind=BOOLEAN,
        default=False,
        meaning="Keeps the reference application's demonstration: patients made up, and users whose passwords "
        "everybody can read. Only for a look without real patients, and what it has made stays.",
        applications=("openmrs",),
        elsewhere=False,
    ),
    Setting(
        name="openmrs_module_web_admin",
        attribute="module_web_admin",
        kind=BOOLEAN,
        default=False,
        meaning="Lets administrators start and stop modules in the browser, in the one task that they are with. What "
        "they upload there is gone with the task.",
        applications=("openmrs",),
        elsewhere=False,
    ),
    Setting(
        name="openmrs_frontend_config_urls",
        attribute="frontend_config_urls",
        kind=CONFIG_URLS,
        default=("/openmrs/spa/config-core_demo.json",),
        meaning="Where the frontend finds its configuration; another image of the frontend may have another.",
        applications=("openmrs",),
        elsewhere=(),
    ),
    Setting(
        name="openmrs_upload_megabytes",
        attribute="upload_megabytes",
        kind=whole(1, 5000, "MB"),
        default=512,
        meaning="Largest file that may be uploaded.",
        applications=("openmrs",),
        elsewhere=0,
    ),
)
