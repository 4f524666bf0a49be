# SPDX-License-Identifier: Apache-2.0
"""Which subscriptions a topic matches: a tree of filters by level. Pure rules.

Sources: MQTT 5.0 (OASIS 2019) §4.7 (topics and filters), §4.8.2 (shared subscriptions); 3.1.1 §4.7 is the same without
shares. A filter that begins with a wildcard matches no topic that begins with ``$`` (§4.7.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from armillary.errors import WireError
from armillary.hub.broker.limits import MAX_TOPIC_BYTES, MAX_TOPIC_LEVELS
from armillary.wire.mqtt.fields import FORMAT

_SHARE = "$share/"

Subscriber = TypeVar("Subscriber")


def check_extent(text: str) -> str:
    """The topic or filter; raises WireError if it has more levels or bytes than the limits."""
    levels, size = text.count("/") + 1, len(text.encode())
    if levels > MAX_TOPIC_LEVELS or size > MAX_TOPIC_BYTES:
        raise WireError(
            FORMAT,
            expected=f"a topic of at most {MAX_TOPIC_LEVELS} levels and {MAX_TOPIC_BYTES} bytes",
            got=f"{levels} levels, {size} bytes",
            remedy="Use shorter topics.",
            code="wire.mqtt-topic-name",
        )
    return text


def split_share(topic_filter: str) -> tuple[str, str]:
    """The share's name (empty when it is not shared) and the filter proper.

    Raises:
        WireError: a ``$share/`` filter without name or filter, or with a wildcard in its name (§4.8.2).
    """
    if not topic_filter.startswith(_SHARE):
        return "", topic_filter
    name, slash, rest = topic_filter[len(_SHARE) :].partition("/")
    if not name or not slash or not rest or set(name) & set("+#"):
        raise WireError(
            FORMAT,
            expected="a shared subscription of the form $share/NAME/FILTER",
            got=ascii(topic_filter[:64]),
            remedy="Correct the topic filter.",
        )
    return name, rest


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a filter (without share) matches a topic: the definition in few words, which the tree must agree with."""
    filters, levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and filters[0] in ("+", "#"):
        return False
    for number, part in enumerate(filters):
        if part == "#":
            return True
        if number == len(levels) or part not in ("+", levels[number]):
            return False
    return len(filters) == len(levels)


@dataclass(slots=True)
class _Node(Generic[Subscriber]):
    """One level: what is subscribed here, and the levels below by name (``+`` and ``#`` among them)."""

    below: dict[str, _Node[Subscriber]] = field(default_factory=dict)
    shares: dict[str, list[Subscriber]] = field(default_factory=dict)  # By share name; "" holds what is not shared


class FilterTree(Generic[Subscriber]):
    """Subscribers by filter. A subscriber is whatever its owner puts in; the same filter may have many."""

    def __init__(self) -> None:
        self._root: _Node[Subscriber] = _Node()

    def add(self, topic_filter: str, subscriber: Subscriber) -> None:
        """Add a subscriber under a filter, shared or not."""
        share, plain = split_share(topic_filter)
        node = self._root
        for level in plain.split("/"):
            node = node.below.setdefault(level, _Node())
        node.shares.setdefault(share, []).append(subscriber)

    def remove(self, topic_filter: str, subscriber: Subscriber) -> None:
        """Take a subscriber out; nothing when it is not there. Empty levels are removed too."""
        share, plain = split_share(topic_filter)
        path: list[tuple[_Node[Subscriber], str]] = []
        node = self._root
        for level in plain.split("/"):
            path.append((node, level))
            following = node.below.get(level)
            if following is None:
                return
            node = following
        rest = [each for each in node.shares.get(share, ()) if each is not subscriber]
        if rest:
            node.shares[share] = rest
        else:
            node.shares.pop(share, None)
        for parent, level in reversed(path):
            if parent.below[level].below or parent.below[level].shares:
                break
            del parent.below[level]

    def find(self, topic: str) -> Iterator[tuple[str, list[Subscriber]]]:
        """Each filter that matches: its share name (empty when not shared) and its subscribers."""
        levels = topic.split("/")
        nodes: list[_Node[Subscriber]] = [self._root]
        for number, level in enumerate(levels):
            wild = number > 0 or not topic.startswith("$")
            following: list[_Node[Subscriber]] = []
            for node in nodes:
                if wild and (rest := node.below.get("#")) is not None:
                    yield from rest.shares.items()
                if (exact := node.below.get(level)) is not None:
                    following.append(exact)
                if wild and (any_ := node.below.get("+")) is not None:
                    following.append(any_)
            if not following:
                return
            nodes = following
        for node in nodes:
            yield from node.shares.items()
            if (rest := node.below.get("#")) is not None:  # "a/#" matches "a" too
                yield from rest.shares.items()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is subscribed, and so nothing kept."""
        return not self._root.below
