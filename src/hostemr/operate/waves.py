"""A graph of needs, in waves: each wave needs only earlier ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def waves(needs: Mapping[str, Collection[str]]) -> tuple[list[tuple[str, ...]], list[str]]:
    """The waves of a graph, and one of its cycles.

    `needs` has every node; a cycle begins and ends with the same one, and each of its nodes needs the next. Without
    a cycle the list of it is empty; with one, the waves hold what can still be ordered.
    """
    missing = {node: set(needed) for node, needed in needs.items()}
    users: dict[str, list[str]] = {node: [] for node in needs}
    for node, needed in missing.items():
        for other in needed:
            users[other].append(node)
    found = []
    ready = sorted(node for node, needed in missing.items() if not needed)
    while ready:
        found.append(tuple(ready))
        following = set()
        for node in ready:
            del missing[node]
            for user in users[node]:
                missing[user].discard(node)
                if not missing[user]:
                    following.add(user)
        ready = sorted(following)
    return found, _cycle(missing)


def _cycle(missing: Mapping[str, set[str]]) -> list[str]:
    """What is left over needs something that is left over, so following the needs must come round."""
    if not missing:
        return []
    node, path = min(missing), []
    while node not in path:
        path.append(node)
        node = min(missing[node])
    return [*path[path.index(node) :], node]
