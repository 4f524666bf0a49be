# SPDX-License-Identifier: Apache-2.0
"""Which devices run what an advisory affects, and since when they do not: sets of software joined to their devices.

Counts and curves are sums over sets and groups, so that they cost the same for a hundred devices and for a million; a
page of a list reads as many devices as it shows. What runs is what devices said in attested check-ins: a device whose
last check-in was not attested counts as unknown, never as repaired.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State
from armillary.engines.records.advisories import components as component_rows, software as software_rows
from armillary.engines.records.advisories.software import Held, Pair, SoftwareSet
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.advisory_rows import Artifact
from armillary.engines.records.schema.rows import DeviceGroup
from armillary.engines.records.schema.software_tables import NO_GROUP, NO_SET
from armillary.errors import InvalidArgumentError
from armillary.service.advisories.judging import BAD, Judge, Judged, worst
from armillary.service.advisories.sets import Sets
from armillary.wire.advisory.vex import Status

# Regulation (EU) 2024/2847 counts by these: ISO 3166-1 alpha-2 of the Union's members.
MEMBER_STATES: Final = frozenset(
    {
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
    }
)  # fmt: skip
# Points of a curve; it is drawn a few hundred pixels wide.
MAX_POINTS: Final = 500
_CURSOR: Final = re.compile(r"([0-9]{1,18})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([0-9]{1,18})", re.ASCII)
_Key = tuple[UUID | None, UUID | str]


@dataclass(frozen=True, slots=True)
class Population:
    """Devices by how they stand to an advisory: so many of each set and group."""

    pairs: tuple[tuple[Pair, State], ...]
    groups: Mapping[UUID, DeviceGroup]

    def counts(self) -> dict[str, int]:
        """Devices in each state."""
        found: Counter[State] = Counter()
        for pair, state in self.pairs:
            found[state] += pair.devices
        return {state.value: found[state] for state in State if found[state]}

    def by(self, what: Callable[[DeviceGroup | None], str], state: State = State.AFFECTED) -> dict[str, int]:
        """Devices in a state by something of their group."""
        found: Counter[str] = Counter()
        for pair, each in self.pairs:
            if each is state:
                found[what(self.groups.get(pair.group_id))] += pair.devices
        return dict(sorted(found.items()))

    def of_product(self, product_id: UUID) -> Population:
        """Those of its devices that are of a product."""
        mine = {each.group_id for each in self.groups.values() if each.product_id == product_id}
        return Population(tuple((pair, state) for pair, state in self.pairs if pair.group_id in mine), self.groups)

    def of_state(self, state: State) -> list[Pair]:
        """Sets and groups of the devices in a state, in the order of lists."""
        return [pair for pair, each in self.pairs if each is state]


class Field:
    """All groups and what their devices run, read once for a question about many advisories.

    ``only``: devices of these groups, and no others.
    """

    def __init__(self, connection: Connection, only: Collection[UUID] | None = None) -> None:
        self.groups = _groups(connection)
        self._only = only
        self._by_set: dict[int, list[Pair]] = {}
        for pair in software_rows.pairs(connection):
            if self.has(pair):
                self._by_set.setdefault(pair.set_id, []).append(pair)

    def has(self, pair: Pair) -> bool:
        """Whether it asks for the devices of this group."""
        return self._only is None or pair.group_id in self._only

    def having(self, set_ids: Iterable[int]) -> list[Pair]:
        """How many devices of each group have each of these sets."""
        return sorted(pair for set_id in set_ids for pair in self._by_set.get(set_id, ()))


class Exposure:
    """Joins what is judged to what runs where."""

    def __init__(self, sets: Sets) -> None:
        self._sets = sets

    def newest_set(self, connection: Connection) -> int:
        """The highest number of a set of software; 0 before the first."""
        self._sets.refresh(connection)
        return max(self._sets.by_id, default=0)

    def judged(
        self,
        connection: Connection,
        judge: Judge,
        catalog_id: UUID | None,
        *,
        affected_only: bool = False,
        at: int | None = None,
    ) -> list[Judged]:
        """How the images of a catalog (None: of all) and the releases stand to an advisory, or stood at a time."""
        if affected_only:
            found = component_rows.having(connection, judge.pairs)
            return [judge.of(each) for each in found if each.catalog_id in (None, catalog_id) or catalog_id is None]
        there = component_rows.artifacts(connection, catalog_id)
        then = there if at is None else [each for one in there if (each := one.as_of(at)) is not None]
        return [judge.of(each) for each in then]

    def affected(
        self,
        connection: Connection,
        judge: Judge,
        judged: Sequence[Judged],
        catalog_id: UUID | None,
        field: Field | None = None,
    ) -> Population:
        """The devices that run what is judged to be affected or under investigation, and no others."""
        if judge.products:  # what is said of a product is so on all of its devices, whatever they run
            whole = self.everywhere(connection, judge, self.judged(connection, judge, catalog_id), catalog_id)
            bad = [each for each in whole.pairs if each[1] in BAD]
            return Population(tuple(each for each in bad if field is None or field.has(each[0])), whole.groups)
        self._sets.refresh(connection)
        chosen = self._having(judged, BAD)
        rows = software_rows.pairs(connection, chosen) if field is None else field.having(chosen)
        states = _States(judge, [each for each in judged if each.state in BAD], self._sets, default=State.NOT_AFFECTED)
        return self._population(connection, rows, states, catalog_id, field)

    def everywhere(
        self,
        connection: Connection,
        judge: Judge,
        judged: Sequence[Judged],
        catalog_id: UUID | None,
        *,
        at: int | None = None,
    ) -> Population:
        """All devices of a catalog, or of all, by how they stand, or stood at a time; what nobody judged is unknown."""
        self._sets.refresh(connection)
        states = _States(judge, judged, self._sets, default=State.UNKNOWN)
        rows = software_rows.pairs(connection) if at is None else software_rows.pairs_at(connection, at)
        return self._population(connection, rows, states, catalog_id)

    def of_held(
        self,
        connection: Connection,
        judge: Judge,
        judged: Sequence[Judged],
        held: Held,
        catalog_id: UUID | None,
        product_id: UUID | None,
    ) -> tuple[State, SoftwareSet | None]:
        """How a device of a catalog and product stands that has a set, and the set."""
        self._sets.refresh(connection)
        states = _States(judge, judged, self._sets, default=State.UNKNOWN)
        return states.of(held.set_id, catalog_id, product_id), self._sets.by_id.get(held.set_id)

    def _having(self, judged: Sequence[Judged], which: Collection[State]) -> set[int]:
        """Sets that have something of these states."""
        some = [each.artifact for each in judged if each.state in which]
        images = {each.artifact_id for each in some if each.catalog_id is not None}
        return self._sets.having(images, {(each.chip, each.version) for each in some if each.catalog_id is None})

    def _population(
        self,
        connection: Connection,
        rows: Iterable[Pair],
        states: _States,
        catalog_id: UUID | None,
        field: Field | None = None,
    ) -> Population:
        groups = _groups(connection) if field is None else field.groups
        found = []
        for pair in rows:
            group = groups.get(pair.group_id)
            owner = None if group is None else group.catalog_id
            if catalog_id is None or owner == catalog_id:
                product_id = None if group is None else group.product_id
                found.append((pair, states.of(pair.set_id, owner, product_id)))
        return Population(tuple(found), groups)

    def curve(
        self,
        connection: Connection,
        judge: Judge,
        judged: Sequence[Judged],
        population: Population,
        is_asked: Callable[[DeviceGroup | None], bool],
        *,
        since: int,
        now: int,
    ) -> list[dict[str, int]]:
        """How many devices were affected after each time at which that changed, and how many were repaired until then.

        ``population`` are the devices at its end, ``is_asked`` says of whose groups. A device is repaired when it went
        from a set that is affected to one that is known to be not. ``left`` have gone for other reasons: to another
        group, out of service, or to what is not known. Of the span of moves in which the curve begins, what went counts
        and what came was there at first: which of them was before, the sums do not say.
        """
        states = _States(judge, judged, self._sets, default=State.UNKNOWN)
        groups = population.groups
        changes: dict[int, Counter[str]] = {}
        bad = {pair.set_id for pair in population.of_state(State.AFFECTED)}
        bad |= self._having(judged, (State.AFFECTED,))
        for move in software_rows.moves(connection, bad, since=since - software_rows.SPAN_S):
            group = groups.get(move.group_id)
            if move.at > now or not is_asked(group):
                continue
            owner, product_id = (None, None) if group is None else (group.catalog_id, group.product_id)
            before, after = (states.of(each, owner, product_id) for each in (move.from_set, move.to_set))
            if (before is State.AFFECTED) == (after is State.AFFECTED):
                continue
            word = "came" if after is State.AFFECTED else "left"
            if word == "came" and move.at <= since:
                continue
            if word == "left" and after in (State.FIXED, State.NOT_AFFECTED):
                word = "patched"
            changes.setdefault(move.at, Counter())[word] += move.devices
        return _points(changes, sum(pair.devices for pair in population.of_state(State.AFFECTED)), since, now)

    def page(
        self, connection: Connection, population: Population, state: State, *, after: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Devices in a state, and the cursor of the next page; by set, group and number."""
        start = _cursor(after)
        numbers: list[tuple[int, Pair]] = []
        for pair in population.of_state(state):
            if (pair.set_id, pair.group_id) < start[:2]:
                continue
            first = start[2] if (pair.set_id, pair.group_id) == start[:2] else 0
            wanted = limit + 1 - len(numbers)
            found = software_rows.devices_of(connection, pair.set_id, pair.group_id, after=first, limit=wanted)
            numbers += [(number, pair) for number in found]
            if len(numbers) > limit:
                break
        shown = numbers[:limit]
        described = software_rows.described(connection, [number for number, _ in shown])
        rows = [
            {**described[number], "image_ids": sorted(map(str, self._sets.by_id[pair.set_id].image_ids))}
            for number, pair in shown
        ]
        if len(numbers) <= limit:
            return rows, None
        number, pair = shown[-1]
        return rows, f"{pair.set_id}.{pair.group_id}.{number}"


class _States:
    """How each set stands in a catalog, computed once for each."""

    def __init__(self, judge: Judge, judged: Sequence[Judged], sets: Sets, *, default: State) -> None:
        self._judge = judge
        self._sets = sets
        self._default = default
        self._known: dict[_Key, Judged] = {}
        self._found: dict[tuple[int, UUID | None, UUID | None], State] = {}
        self._everywhere: dict[UUID, State] = {}
        for each in judged:
            self._known[_place(each.artifact)] = each
            if each.artifact.catalog_id is not None:
                before = self._everywhere.get(each.artifact.artifact_id)
                said = [each.state] if before is None else [each.state, before]
                self._everywhere[each.artifact.artifact_id] = worst(said) or each.state

    def of(self, set_id: int, catalog_id: UUID | None, product_id: UUID | None) -> State:
        """The state of a set's devices in a catalog and product; None for those of no catalog."""
        if set_id == NO_SET:
            return State.UNKNOWN
        key = (set_id, catalog_id, product_id if product_id in self._judge.products else None)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._state(self._sets.by_id.get(set_id), catalog_id, key[2])
        return found

    def _state(self, one: SoftwareSet | None, catalog_id: UUID | None, product_id: UUID | None) -> State:
        if one is None:
            return State.UNKNOWN
        states = [self._of_place((None, f"{one.chip}\0{one.os_version}"), product_id)]
        for image_id in one.image_ids:
            if catalog_id is None:
                states.append(self._everywhere.get(image_id, self._default))
            else:
                states.append(self._of_place((catalog_id, image_id), product_id))
        found = worst(states) or self._default
        if not one.attested and found not in BAD:
            return State.UNKNOWN  # its word alone
        return found

    def _of_place(self, place: _Key, product_id: UUID | None) -> State:
        known = self._known.get(place)
        if product_id is None:
            return self._default if known is None else known.state
        if known is not None:
            return self._judge.of_product(product_id, known.state, known.said)
        is_bad = self._judge.products[product_id].status is Status.AFFECTED
        return State.AFFECTED if is_bad else self._default


def _place(artifact: Artifact) -> _Key:
    if artifact.catalog_id is None:
        return None, f"{artifact.chip}\0{artifact.version}"
    return artifact.catalog_id, artifact.artifact_id


def _points(changes: Mapping[int, Counter[str]], affected: int, since: int, now: int) -> list[dict[str, int]]:
    """The curve from its beginning to now, out of what is affected now and what changed: :data:`MAX_POINTS` at most."""
    span = max(software_rows.SPAN_S, -(-(now - since) // MAX_POINTS))
    summed: dict[int, Counter[str]] = {}
    for at, change in changes.items():
        summed.setdefault(max(0, at - since) // span, Counter()).update(change)
    came = sum(each["came"] for each in changes.values())
    went = sum(each["patched"] + each["left"] for each in changes.values())
    at_first = affected - came + went
    points = [{"at": since, "affected": at_first, "patched": 0, "left": 0, "came": 0}]
    total: Counter[str] = Counter()
    for place in sorted(summed):
        total.update(summed[place])
        now_affected = at_first + total["came"] - total["patched"] - total["left"]
        kinds = {word: total[word] for word in ("patched", "left", "came")}
        points.append({"at": min(now, since + (place + 1) * span), "affected": now_affected, **kinds})
    if points[-1]["at"] < now:
        points.append({**points[-1], "at": now})
    return points


def _cursor(text: str | None) -> tuple[int, UUID, int]:
    if text is None:
        return (0, NO_GROUP, 0)
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise InvalidArgumentError(
            f"cursor: expected one that this list gave, got {text!a:.40}", remedy="Start again without a cursor."
        )
    return int(found[1]), UUID(found[2]), int(found[3])


def _groups(connection: Connection) -> dict[UUID, DeviceGroup]:
    return {each.group_id: each for each in catalog_rows.every_group(connection)}


def is_of(group: DeviceGroup | None, *, catalog_id: UUID | None, product_id: UUID | None) -> bool:
    """Whether a group is one of a catalog and product; None is any."""
    if group is None:
        return catalog_id is None and product_id is None
    return catalog_id in (None, group.catalog_id) and product_id in (None, group.product_id)


def country_of(group: DeviceGroup | None) -> str:
    """Where a group's devices are; empty where nobody said."""
    return "" if group is None else group.country


def product_of(group: DeviceGroup | None) -> str:
    """Of which product a group's devices are, as ``CATALOG/PRODUCT``; empty for those of none."""
    return "" if group is None else f"{group.catalog}/{group.product}"


def catalog_of(group: DeviceGroup | None) -> str:
    """Whose a group's devices are; empty for those of no catalog."""
    return "" if group is None else group.catalog
