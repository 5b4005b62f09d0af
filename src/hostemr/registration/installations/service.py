"""Registers installations: decides what a client is told, and within which limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hostemr.errors import RequestError, TooManyRequests
from hostemr.registration.client_address import keyed_hash
from hostemr.registration.group_commit import GroupCommit
from hostemr.registration.installations.address import parse_address
from hostemr.registration.installations.count import AddressCount
from hostemr.registration.installations.store import InstallationStore, Registered, Registration
from hostemr.registration.installations.version import printable
from hostemr.registration.limits import Limit, RateLimiter
from hostemr.registration.metrics import Metrics
from hostemr.registration.rates import Rate

RepeatPolicy = Literal["by-client", "always-409", "always-201"]


class AlreadyRegistered(RequestError):
    """The address is known, and this client is told so."""

    http_status = 409
    wire_name = "AlreadyRegisteredException"


class InstallationService:
    """`register` and `count`, over the store, within the limits."""

    def __init__(
        self,
        *,
        store: InstallationStore,
        limiter: RateLimiter,
        metrics: Metrics,
        policy: RepeatPolicy,
        limits: dict[str, Rate],
        address_key: bytes | None,
    ) -> None:
        self._store = store
        self._limiter = limiter
        self._policy = policy
        self._limits = limits
        self._address_key = address_key
        self._registering = GroupCommit(self._register_group)
        self._count = AddressCount(store.count_addresses)
        self._outcomes = {name: metrics.registrations.labels(name) for name in ("new", "repeated", "refused")}

    async def register(self, *, email: str, version: str | None, distribution: str | None, client: str) -> str:
        """Register an address and answer its new productId, after both are committed.

        `version` is None for clients before OpenEMR 5.0.2, which send none and understand the 409;
        newer ones treat everything but 201 as a failure. Whose owner opted out gets one too, and
        is asked by mail whether to write again. `client` is the client's address.
        Raises InvalidEmail, AlreadyRegistered, TooManyRequests, DatabaseUnavailable.
        """
        address = parse_address(email)
        limits = (
            Limit("client", client, self._limits["client"]),
            Limit("mail domain", address.domain, self._limits["domain"]),
            Limit("service", "", self._limits["global"]),
        )
        self._limiter.recall(*limits)
        grant = self._policy == "always-201" or (self._policy == "by-client" and version is not None)
        registration = Registration(
            address=address,
            version=printable(version) if version else None,
            distribution=printable(distribution) if distribution else None,
            client_hash=keyed_hash(self._address_key, "client", client) if self._address_key else None,
            grant_repeat=grant,
            grant_opted_out=self._policy != "always-409",
        )
        registered = await self._registering.submit((registration, limits))
        if isinstance(registered, TooManyRequests):
            raise registered
        if registered.new_address:
            self._count.changed()
        outcome = "new" if registered.new_address else "repeated" if registered.product_id else "refused"
        self._outcomes[outcome].inc()
        if registered.product_id is None:
            message = "This address is registered already."
            raise AlreadyRegistered(message)
        return registered.product_id

    async def _register_group(
        self, attempts: Sequence[tuple[Registration, tuple[Limit, ...]]]
    ) -> list[Registered | TooManyRequests]:
        refusals = await self._limiter.count([limits for _, limits in attempts])
        within = [registration for (registration, _), refusal in zip(attempts, refusals, strict=True) if not refusal]
        stored = iter(await self._store.register(within) if within else [])
        return [refusal or next(stored) for refusal in refusals]

    async def count(self) -> int:
        """How many different addresses are registered."""
        return await self._count.get()

    async def drain(self) -> None:
        """Wait until every registration that was accepted is committed."""
        await self._registering.drain()
