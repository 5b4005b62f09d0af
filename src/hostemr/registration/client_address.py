"""Whose request it is: the client's IP address as far as it can be trusted, and what stands for it."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from functools import lru_cache

UNKNOWN = "unknown"


def client_address(peer: str | None, forwarded_for: Iterable[str], proxy_hops: int) -> str:
    """The address that counts for limits: an IPv4 address, or an IPv6 network of /64.

    `forwarded_for` are the values of X-Forwarded-For in the order of the request. Each trusted
    proxy appends the address that it saw, so with `proxy_hops` of them the client's is that many
    entries from the right; what stands further left the client can have written itself. Where the
    header has fewer entries, or no address there, the connection's own address counts.
    """
    if proxy_hops:
        entries = [entry.strip() for value in forwarded_for for entry in value.split(",")]
        if len(entries) >= proxy_hops:
            found = _network(entries[-proxy_hops])
            if found != UNKNOWN:
                return found
    return _network(peer or "")


@lru_cache(4096)
def _network(text: str) -> str:
    try:
        address = ipaddress.ip_address(_without_port(text))
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            # One customer of a provider has at least a /64, so single addresses mean nothing.
            return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
        address = address.ipv4_mapped
    return str(address)


def _without_port(text: str) -> str:
    """A load balancer can be told to write `192.0.2.1:1234` or `[2001:db8::1]:1234`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def keyed_hash(key: bytes, *parts: str) -> str:
    """32 hexadecimal digits that stand for `parts` and can be made only by who has the key."""
    return hashlib.blake2b("\0".join(parts).encode(), key=key[:64], digest_size=16).hexdigest()
