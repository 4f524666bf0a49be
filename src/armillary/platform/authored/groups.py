# SPDX-License-Identifier: Apache-2.0
"""Members of segments, found when somebody asks: a segment is never out of date, and nothing is kept in step.

A member is found by reading every device's facts in chunks (``device_facts.py``); 10,000 devices are some 40 reads.
Who asks often (a dashboard) gets the ids that were found a few seconds ago.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from armillary.engines.documents.document import not_found
from armillary.engines.documents.store import DocumentStore
from armillary.errors import InvalidArgumentError
from armillary.platform.authored.device_facts import FactsReader, of_catalog
from armillary.platform.ports import Directory
from armillary.twin.author.group import DeviceFacts, Group, Needs, is_member, needs_of_group, parse_group

# Rows of one page of members.
MAX_LIMIT: Final = 1000
# For how long ids that were found are given out again (seconds), and for how many groups.
REMEMBER_S: Final = 5.0
MAX_REMEMBERED: Final = 64


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Some members by device id; ``next_after`` continues the list, None at its end."""

    items: tuple[DeviceFacts, ...]
    next_after: str | None


@dataclass(eq=False)
class Groups:
    """Segments. Methods block: call them from threads."""

    _documents: DocumentStore
    _reader: FactsReader
    _directory: Directory
    _cached: dict[tuple[str, str, str | None], tuple[float, tuple[str, ...]]] = field(default_factory=dict, init=False)

    def get(self, group_id: str) -> Group:
        """A group; raises NotFoundError if there is none of this id."""
        return parse_group(self._documents.get("group", group_id).content)

    def members(
        self, group: Group, *, catalog: str | None = None, after: str | None = None, limit: int = MAX_LIMIT
    ) -> MemberPage:
        """Members of a group by device id, with the facts that its filters look at; at most MAX_LIMIT of them.

        ``catalog`` narrows them further than the group does; ``after`` is ``next_after`` of the page before.
        """
        if limit < 1:
            raise InvalidArgumentError(f"limit: expected 1 to {MAX_LIMIT}, got {limit}", remedy="Ask for at least one.")
        bound = min(limit, MAX_LIMIT)
        scan = self.scan(group, catalog=catalog, after=after or "", needs=Needs(template=True))
        found = tuple(islice(scan, bound + 1))
        return MemberPage(found[:bound], found[bound - 1].device_id if len(found) > bound else None)

    def scan(
        self, group: Group, *, catalog: str | None = None, after: str = "", needs: Needs | None = None
    ) -> Iterator[DeviceFacts]:
        """Every member by device id, read lazily from behind ``after``.

        ``catalog`` narrows them further than the group does; ``needs`` are facts that the caller uses besides the
        group.
        """
        if catalog is not None and group.catalog is not None and catalog.lower() != group.catalog.lower():
            return iter(())
        wanted = needs_of_group(group) | (needs or Needs())
        only = group.catalog if catalog is None else catalog
        facts = self._reader.scan(wanted, catalog=only, template=group.template, after=after)
        return (each for each in facts if is_member(group, each))

    def facts(self, device_ids: Sequence[str], needs: Needs) -> list[DeviceFacts]:
        """Facts of some devices, in their order; those that nobody owns are left out."""
        return self._reader.of(device_ids, needs)

    def ids(self, group_id: str, *, catalog: str | None = None) -> tuple[str, ...]:
        """Ids of all members, cached for REMEMBER_S. Raises NotFoundError if there is no such group."""
        document = self._documents.get("group", group_id)
        whose, owner = None if catalog is None else catalog.lower(), document.content.get("catalog")
        if None not in (whose, owner) and str(owner).lower() != whose:  # another catalog's is as good as none
            raise not_found("group", group_id)
        key, now = (group_id, document.etag, whose), time.monotonic()
        known = self._cached.get(key)
        if known is not None and now - known[0] < REMEMBER_S:
            if catalog is None:
                return known[1]
            mine = of_catalog(self._directory, known[1], catalog)  # a device that has left is out of sight at once
            return tuple(each for each in known[1] if each in mine)
        found = tuple(each.device_id for each in self.scan(parse_group(document.content), catalog=catalog))
        if len(self._cached) >= MAX_REMEMBERED:
            self._cached.clear()
        self._cached[key] = (now, found)
        return found
