"""Buckets are private, and stay so."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates

_FOUR = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_OPEN = {"PublicRead", "PublicReadWrite", "AuthenticatedRead"}


def _find(templates: Templates) -> Iterator[Found]:
    for bucket in templates.of("AWS::S3::Bucket"):
        place = "PublicAccessBlockConfiguration"
        off = [
            name
            for name in _FOUR
            if any(templates.text(bucket.stack, one).lower() == "false" for one in bucket.at(place, name))
        ]
        unsaid = [name for name in _FOUR if not bucket.has(place, name)]
        lists = _OPEN & {templates.text(bucket.stack, one) for one in bucket.at("AccessControl")}
        if lists:
            yield Found(bucket, f"its access control list is {lists.pop()}", "take AccessControl away", "AccessControl")
        if off:
            yield Found(
                bucket, f"{', '.join(off)} {'is' if len(off) == 1 else 'are'} off", "set all four to true", place
            )
        elif unsaid:
            yield Found(
                bucket,
                "its privacy is S3's default of the day, and nothing in the template",
                f"set {', '.join(unsaid)} to true",
                place,
                "warning",
            )


CHECK = Check(
    id="HOSTEMR-BucketPrivate",
    title="A bucket is private, and stays so",
    severity="error",
    reason="One policy written in haste opens a bucket; the four switches make that impossible. New buckets have "
    "them on "
    "since April 2023, as long as nobody changes it.",
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
    find=_find,
)
