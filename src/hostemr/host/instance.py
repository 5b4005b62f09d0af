"""This server as EC2 sees it: its id, and the address that it takes."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable

from hostemr.errors import OutsideWorldError
from hostemr.host.aws import Aws

METADATA = "http://169.254.169.254"
_SECONDS = 5


def instance_id(endpoint: str = METADATA) -> str:
    """The id of the instance that this runs on, by version 2 of the metadata service. Raises OutsideWorldError.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
    """
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        asked = urllib.request.Request(f"{endpoint}/latest/api/token", method="PUT", headers=headers)  # noqa: S310
        with opener.open(asked, timeout=_SECONDS) as answer:
            token = answer.read().decode()
        headers = {"X-aws-ec2-metadata-token": token}
        asked = urllib.request.Request(f"{endpoint}/latest/meta-data/instance-id", headers=headers)  # noqa: S310
        with opener.open(asked, timeout=_SECONDS) as answer:
            return str(answer.read().decode().strip())
    except (OSError, urllib.error.URLError) as error:
        message = f"The instance metadata service does not answer: {getattr(error, 'reason', error)}."
        raise OutsideWorldError(message, hint="volume_id and allocation_id can be used on EC2 only") from error


def take_address(aws: Aws, *, allocation_id: str, instance: str, say: Callable[[str], None]) -> None:
    """Give this instance the elastic IP address; does nothing new when it has it. Raises ProgramFailed.

    It is taken from whoever has it: that is the server which this one replaces, or this one before.
    """
    arguments = {"AllocationId": allocation_id, "InstanceId": instance, "AllowReassociation": True}
    aws.call("ec2", "associate-address", arguments)
    say(f"the address {allocation_id} is associated with {instance}")
