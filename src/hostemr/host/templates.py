"""The files that the agent brings along, each in its own language, with `@names@` where values go."""

from __future__ import annotations

import re
from importlib import resources

_PLACE = re.compile(r"@([a-z_]+)@")


def filled(name: str, **values: str) -> str:
    """The text of a file in `installed/`, its places filled.

    Raises KeyError where a place has no value and ValueError where a value has no place: both are mistakes in the
    agent, which its tests find.
    """
    text = resources.files("hostemr.host").joinpath("installed", name).read_text(encoding="utf-8")
    places = set(_PLACE.findall(text))
    if left := values.keys() - places:
        raise ValueError(f"{name} has no place for {', '.join(sorted(left))}")
    return _PLACE.sub(lambda place: values[place[1]], text)
