"""Which images the data was served by: an older one must not meet what a newer one has changed."""

from __future__ import annotations

import re

from hostemr.errors import RefusedError
from hostemr.host.server import Server

_VERSION = re.compile(r":v?(\d+(?:\.\d+)*)")


def refuse_older(server: Server) -> None:
    """Raise RefusedError where an image is older than the one that served the present data.

    OpenEMR and MariaDB change their tables when a newer one starts, and neither goes back
    (https://mariadb.com/docs/server/server-management/install-and-upgrade-mariadb/upgrading). CloudFormation goes back
    to the older image by itself when an update fails.
    """
    known = server.state.read("served-by") or {}
    if known.get("generation") != server.layout.served():
        return
    for name, image in _images(server).items():
        before, now = version(known.get(name, "")), version(image)
        if before and now and now < before:
            raise RefusedError(
                f"The data was served by {known[name]}; {image} is older, and would harm what that one changed.",
                hint=f"update the stack to {known[name]} or newer; the way back is a restore from before the update",
            )


def keep_versions(server: Server) -> None:
    """Remember the images that the present data is about to meet: one that fails may have changed it already."""
    server.state.write("served-by", {"generation": server.layout.served(), **_images(server)})


def version(image: str) -> tuple[int, ...]:
    """The numbers in an image's tag, such as (8, 1, 0); empty where there are none, as in `latest`."""
    found = _VERSION.search(image.partition("@")[0].rpartition("/")[2])
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _images(server: Server) -> dict[str, str]:
    configuration = server.configuration
    return {"openemr": configuration.openemr_image, "database": configuration.database_image}
