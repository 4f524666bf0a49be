# SPDX-License-Identifier: Apache-2.0
"""How images and OS releases stand to an advisory: what was matched, what VEX says of it, and what the feeds are worth.

========================================================  =======================================
of what has it                                            state
========================================================  =======================================
a component is matched                                    by ``advisory.assessment``: affected,
                                                          under-investigation, fixed, not-affected
no bill of materials, one that is not read or damaged     unknown
a component that cannot be judged                         unknown
the advisory's feed is stale                              unknown
it lists a package of the advisory in a repaired version  fixed
none of this                                              not-affected
========================================================  =======================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State, state_of
from armillary.advisory.statements import Statements
from armillary.engines.records.advisories import components as component_rows, feeds as feed_rows
from armillary.engines.records.schema.advisory_rows import OPEN, AdvisoryVersion, Artifact, Feed, Pair, VexStatement
from armillary.wire.advisory.vex import Product, Status, UnverifiedStatement

# The worst first: what a device has is as bad as the worst of it.
ORDER: Final = (State.AFFECTED, State.UNDER_INVESTIGATION, State.UNKNOWN, State.FIXED, State.NOT_AFFECTED)
# Processors of images in Go's words, by which conditions of advisories name them.
GOARCH: Final[Mapping[str, str]] = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7": "arm",
    "x86": "386",
    "riscv64": "riscv64",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """How an image or release stands to an advisory.

    Attributes:
        purls: The components for which it has this state.
        reason: What decided: a VEX statement's justification and author, or why it is unknown; "" where nothing is to
            be said.
    """

    artifact: Artifact
    state: State
    purls: tuple[str, ...] = ()
    reason: str = ""


def worst(states: Iterable[State]) -> State | None:
    """The worst of some states; None of none."""
    return min(states, key=ORDER.index, default=None)


@dataclass(frozen=True, slots=True)
class Judge:
    """Everything that is known of an advisory: all its records in force, under any of its names."""

    versions: tuple[AdvisoryVersion, ...]
    names: tuple[str, ...]
    is_fresh: bool
    pairs: Mapping[int, Sequence[Pair]]  # Content -> how its components stand
    listing: frozenset[int]  # Contents that list one of its packages
    statements: Statements

    @classmethod
    def read(cls, connection: Connection, versions: Sequence[AdvisoryVersion], *, now: int) -> Judge:
        """What the records know of an advisory."""
        (found,) = cls.several(connection, [versions], now=now)
        living = [each.version_id for each in versions if each.withdrawn_at is None]
        return replace(found, listing=frozenset(component_rows.listing(connection, living)))

    @classmethod
    def several(
        cls, connection: Connection, advisories: Iterable[Sequence[AdvisoryVersion]], *, now: int
    ) -> list[Judge]:
        """What the records know of many advisories, but for what lists their packages without being affected."""
        asked = list(advisories)
        numbers = sorted({each.version_id for versions in asked for each in versions})
        living = {each.version_id for versions in asked for each in versions if each.withdrawn_at is None}
        aliases = feed_rows.aliases_of(connection, numbers)
        feeds = {each.name: each for each in feed_rows.feeds(connection)}
        pairs: dict[int, list[Pair]] = {}
        for pair in component_rows.pairs_of(connection, sorted(living)):
            pairs.setdefault(pair.version_id, []).append(pair)
        names = [_names_of(versions, aliases) for versions in asked]
        statements = Statements(
            map(statement_of, feed_rows.statements(connection, {name for each in names for name in each}))
        )
        found = []
        for versions, known_as in zip(asked, names, strict=True):
            mine: dict[int, list[Pair]] = {}
            for pair in (pair for each in versions for pair in pairs.get(each.version_id, ())):
                mine.setdefault(pair.content_id, []).append(pair)
            fresh = any(is_fresh(feeds[each.feed], now) for each in versions if each.feed in feeds)
            found.append(cls(tuple(versions), known_as, fresh, mine, frozenset(), statements))
        return found

    @classmethod
    def named(cls, connection: Connection, versions: Sequence[AdvisoryVersion]) -> Judge:
        """An advisory's names alone: enough to look up how urgent it is."""
        aliases = feed_rows.aliases_of(connection, [each.version_id for each in versions])
        return cls(tuple(versions), _names_of(versions, aliases), False, {}, frozenset(), Statements(()))

    def of(self, artifact: Artifact) -> Judged:
        """How an image or release stands to it."""
        content = artifact.content
        pairs = () if content is None else self.pairs.get(content.content_id, ())
        found = [(self._of_pair(artifact, pair), pair) for pair in pairs if _runs_on(pair, artifact)]
        state = worst(each.state for each, _ in found)
        if state in (State.AFFECTED, State.UNDER_INVESTIGATION):
            same = [(each, pair) for each, pair in found if each.state is state]
            return Judged(artifact, state, tuple(pair.purl for _, pair in same), same[0][0].reason)
        unknown = self._unknown(artifact)
        if unknown:
            return Judged(artifact, State.UNKNOWN, reason=unknown)
        if state is not None:
            same = [(each, pair) for each, pair in found if each.state is state]
            return Judged(artifact, state, tuple(pair.purl for _, pair in same), same[0][0].reason)
        is_repaired = content is not None and content.content_id in self.listing
        return Judged(artifact, State.FIXED if is_repaired else State.NOT_AFFECTED)

    def _of_pair(self, artifact: Artifact, pair: Pair) -> Judged:
        said = self.statements.about(self.names, pair.purl, names_of(artifact))
        is_match = pair.answer != OPEN
        state = state_of(is_match=is_match, said=None if said is None else said.status, is_fresh=self.is_fresh)
        if said is not None:
            return Judged(artifact, state, reason=f"{said.justification or said.status} ({said.author})")
        if not is_match:
            return Judged(artifact, state, reason=f"version {pair.component_version[:80]} has no place in its order")
        return Judged(artifact, state)

    def _unknown(self, artifact: Artifact) -> str:
        content = artifact.content
        if content is None:
            return "its bill of materials is missing or was not read yet"
        if content.fault:
            return f"its bill of materials cannot be read: {content.fault}"
        if content.unassessed:
            return f"{content.unassessed} of its components cannot be judged"
        if not content.components:
            return "its bill of materials lists nothing"
        return "" if self.is_fresh else "the feed is stale"


def _names_of(versions: Sequence[AdvisoryVersion], aliases: Mapping[int, tuple[str, ...]]) -> tuple[str, ...]:
    ids = [each.advisory_id for each in versions]
    return tuple(dict.fromkeys([*ids, *(name for each in versions for name in aliases.get(each.version_id, ()))]))


def is_fresh(feed: Feed, now: int) -> bool:
    """Whether a feed says something about now."""
    return not feed.is_stale(now)


def names_of(artifact: Artifact) -> tuple[str, ...]:
    """The names by which VEX documents may be about an image or release."""
    return (str(artifact.artifact_id), f"urn:uuid:{artifact.artifact_id}")


def statement_of(row: VexStatement) -> UnverifiedStatement:
    """A kept statement as rules take it; the key that signed its bundle is trusted."""
    return UnverifiedStatement(
        names=(row.vulnerability,),
        products=(Product((row.product,), (row.component,) if row.component else ()),),
        status=Status(row.state),
        said=row.stated_at or 0,
        author=row.author,
        document=row.feed,
        justification=row.justification,
    )


def _runs_on(pair: Pair, artifact: Artifact) -> bool:
    """Whether an advisory for some processors only may be about what runs there; what is not known is taken as yes."""
    known = GOARCH.get(artifact.architecture)
    return not pair.goarch or known is None or known in pair.goarch


def key_of(artifact: Artifact) -> tuple[UUID | None, UUID]:
    """What an image or release is the same by."""
    return artifact.catalog_id, artifact.artifact_id
