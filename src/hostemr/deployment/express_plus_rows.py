"""The settings of Express Plus as rows: what a template is made for, and the defaults of its parameters."""

from __future__ import annotations

from typing import Any

from hostemr.deployment.parsers import BOOLEAN, DIGEST, EMAILS, IMAGE, Kind, one_of, or_null, ranges, text_of, whole
from hostemr.deployment.setting import Setting

EXPRESS_PLUS = "express-plus"
"""The deployment's name on the command line."""

INSTANCE_SIZES = tuple(
    f"{family}.{size}"
    for family in ("t3", "t4g")
    for size in ("micro", "small", "medium", "large", "xlarge", "2xlarge")
)
"""x86 as in the seed, and the same sizes on ARM."""
STORAGE_LIMITS = (10, 16_384)
"""GiB: the seed's least, and the most that a gp3 volume holds.

https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html
"""
TAG_PATTERN = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DOMAIN_PATTERN = "(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]{2,63}"
KEY_PAIR_PATTERN = "[A-Za-z0-9][A-Za-z0-9 ._@+=:-]{0,254}"


def _single(kind: Kind, text: str) -> Kind:
    """The one value that a list of exactly one has, or null."""

    def parse(value: Any) -> Any:
        found = kind.parse(value)
        if len(found) != 1:
            raise ValueError(f"expected {text}, got {len(found)} of them")
        return found[0]

    return or_null(Kind(text, parse))


def _image(part: str, *, what: str, repository: str, tag: str) -> tuple[Setting, Setting, Setting]:
    return (
        Setting(
            name=f"{part}_image",
            attribute=f"{part}_image",
            kind=IMAGE,
            default=repository,
            meaning=f"Repository of {what}'s image, on Docker Hub or elsewhere, without tag.",
        ),
        Setting(
            name=f"{part}_version",
            attribute=f"{part}_version",
            kind=text_of(TAG_PATTERN, f"an image's tag, such as {tag}"),
            default=tag,
            meaning=f"Tag of {what}'s image."
            + (" The default of the parameter OpenEMRVersion." if part == "openemr" else ""),
        ),
        Setting(
            name=f"{part}_image_digest",
            attribute=f"{part}_image_digest",
            kind=DIGEST,
            meaning=f"Digest of {what}'s image: pins exactly what runs. Null trusts the tag, which can be moved."
            + (" The parameter OpenEMRVersion then takes no other value." if part == "openemr" else ""),
        ),
    )


_VARIANT = (
    Setting(
        name="recovery",
        attribute="recovery",
        kind=BOOLEAN,
        default=False,
        meaning="Makes the template of a server that starts from the backups in another stack's bucket.",
        source="seed",
    ),
    Setting(
        name="dev",
        attribute="dev",
        kind=BOOLEAN,
        default=False,
        meaning="Makes a template for trials: deleting the stack deletes the data volume, and with a key pair SSH is "
        "open to the allowed addresses. Not for patients' data.",
        source="seed",
    ),
)

_PARAMETERS = (
    Setting(
        name="instance_size",
        attribute="instance_size",
        kind=one_of(*INSTANCE_SIZES),
        default="t3.small",
        meaning="Default of the parameter InstanceSize. t4g are ARM.",
        source="seed",
    ),
    Setting(
        name="practice_storage",
        attribute="practice_storage",
        kind=whole(*STORAGE_LIMITS, "GiB"),
        default=10,
        meaning="Default of the parameter PracticeStorage: the size of the data volume, which can grow later and "
        "never shrinks.",
        source="seed",
    ),
    Setting(
        name="ec2_key_pair",
        attribute="ec2_key_pair",
        kind=or_null(text_of(KEY_PAIR_PATTERN, "the name of an EC2 key pair")),
        meaning="Default of the parameter EC2KeyPair. Session Manager needs none, and port 22 is open only with dev.",
        source="seed",
    ),
    Setting(
        name="allowed_address_range",
        attribute="allowed_address_range",
        kind=_single(ranges(4), "one IPv4 network in CIDR notation"),
        meaning="Default of the parameter AllowedAddressRange: who reaches OpenEMR. Null leaves it without a default, "
        "so that whoever launches the stack has to say it.",
    ),
    Setting(
        name="domain",
        attribute="domain",
        kind=or_null(
            text_of(rf"(?=.{{1,200}}$){DOMAIN_PATTERN}", "a host name in small letters, such as emr.example.org")
        ),
        meaning="Default of the parameter Domain: the name that leads to the server, for a certificate that browsers "
        "trust. Without one the certificate is self-signed.",
    ),
    Setting(
        name="email",
        attribute="email",
        kind=_single(EMAILS, "one mail address"),
        meaning="Default of the parameter Email: whom Let's Encrypt writes to about the certificate.",
    ),
    Setting(
        name="alarm_address",
        attribute="alarm_address",
        kind=_single(EMAILS, "one mail address"),
        meaning="Default of the parameter AlarmAddress: who hears of failed, missed and unproven backups.",
    ),
)

_BACKUPS = (
    Setting(
        name="backup_engine",
        attribute="backup_engine",
        kind=one_of("restic", "duplicity"),
        default="restic",
        meaning="What encrypts and uploads the backups. Duplicity is the seed's. What one has stored the other does "
        "not read; both lie in the bucket side by side.",
    ),
    Setting(
        name="keep_daily",
        attribute="keep_daily",
        kind=whole(1, 366, "points"),
        default=14,
        meaning="How many of the last days with a backup keep theirs.",
    ),
    Setting(
        name="keep_weekly",
        attribute="keep_weekly",
        kind=whole(1, 520, "points"),
        default=8,
        meaning="How many of the last weeks with a backup keep their newest.",
    ),
    Setting(
        name="keep_monthly",
        attribute="keep_monthly",
        kind=whole(1, 120, "points"),
        default=12,
        meaning="How many of the last months with a backup keep their newest.",
    ),
    Setting(
        name="full_every_days",
        attribute="full_every_days",
        kind=whole(1, 90, "days"),
        default=7,
        meaning="How old Duplicity's full backup may be before the next one is made. Restic knows no chains.",
    ),
    Setting(
        name="keep_previous_days",
        attribute="keep_previous_days",
        kind=whole(1, 90, "days"),
        default=7,
        meaning="How long the data from before a restore stays on the server, at the least.",
    ),
    Setting(
        name="deleted_backups_days",
        attribute="deleted_backups_days",
        kind=whole(7, 3650, "days"),
        default=30,
        meaning="How long a backup that was deleted or overwritten can be brought back.",
    ),
    Setting(
        name="object_lock_days",
        attribute="object_lock_days",
        kind=whole(0, 3650, "days"),
        default=0,
        meaning="How long nobody can remove what was uploaded (S3 Object Lock). 0 locks nothing, and can be raised at "
        "any time.",
    ),
    Setting(
        name="object_lock_mode",
        attribute="object_lock_mode",
        kind=one_of("governance", "compliance"),
        default="governance",
        meaning="Whether a lock can be lifted by who has the right to (governance), or by nobody, the account's root "
        "user and AWS included (compliance).",
    ),
)

_AROUND = (
    Setting(
        name="open_smtp_port",
        attribute="open_smtp_port",
        kind=BOOLEAN,
        default=False,
        meaning="Lets the server reach mail servers on ports 465 and 587.",
    ),
    Setting(
        name="enable_cloudtrail",
        attribute="enable_cloudtrail",
        kind=BOOLEAN,
        default=True,
        meaning="Keeps an audit trail of the account for seven years. AWS takes money for every trail but an account's "
        "first.",
        source="seed",
    ),
    Setting(
        name="enable_stack_termination_protection",
        attribute="enable_termination_protection",
        kind=BOOLEAN,
        default=True,
        meaning="Whether the stack refuses to be deleted when `cdk deploy` makes it. A template cannot say so: in the "
        "console it is one of the stack's options.",
    ),
)

SETTINGS = (
    *_VARIANT,
    *_PARAMETERS,
    *_image("openemr", what="OpenEMR", repository="openemr/openemr", tag="8.1.0"),
    # 11.8 is a series with long-term support. https://mariadb.org/about/#maintenance-policy
    *_image("database", what="MariaDB", repository="mariadb", tag="11.8.9"),
    *_image("web", what="Caddy, the web server before OpenEMR,", repository="caddy", tag="2.11.4"),
    *_BACKUPS,
    *_AROUND,
)
