"""Analytics that cost nothing while nobody works in them."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.prices.sheet import Charge, NotPriced, Resource, Sheet


def spark(resource: Resource, sheet: Sheet) -> Iterator[Charge]:  # noqa: ARG001, a rule's signature
    """AWS::EMRServerless::Application: free at idle, unless it keeps workers ready."""
    yield from ()
    if resource.get("InitialCapacity"):
        raise NotPriced("workers that are kept ready (InitialCapacity) cost while it is started")
