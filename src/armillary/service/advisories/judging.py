# SPDX-License-Identifier: Apache-2.0
"""How images and OS releases stand to an advisory: what was matched, what VEX says of it, and what the feeds are worth.

========================================================  =======================================
of what has it                                            state, the first that is true
========================================================  =======================================
a component is matched                                    by ``advisory.assessment``: affected,
                                                          under-investigation, fixed, not-affected
a statement about all of it says it is bad                affected, under-investigation
the advisory's feed is stale                              unknown
a statement about all of it says it is good               fixed, not-affected
no bill of materials, one that is not read or damaged     unknown
a component that cannot be judged                         unknown
it lists a package of the advisory in a repaired version  fixed
none of this                                              not-affected
========================================================  =======================================

A statement is of a VEX feed, or of an operator of this service (``own_statements.py``); that of a feed that is stale
makes nothing good. One about a product is held against its devices (``exposure.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State, state_of
from armillary.advisory.statements import Statements
from armillary.engines.records.advisories import components as component_rows, feeds as feed_rows
from armillary.engines.records.schema.advisory_rows import (
    OPEN,
    AdvisoryVersion,
    Artifact,
    FeedEdition,
    Pair,
    VexStatement,
)
from armillary.errors import NotFoundError
from armillary.wire.advisory.own_statement import OwnStatement, subject_name
from armillary.wire.advisory.vex import Product, Status, UnverifiedStatement

# The worst first: what a device has is as bad as the worst of it.
MAX_ID_CHARACTERS: Final = 128
BAD: Final = (State.AFFECTED, State.UNDER_INVESTIGATION)
ORDER: Final = (State.AFFECTED, State.UNDER_INVESTIGATION, State.UNKNOWN, State.FIXED, State.NOT_AFFECTED)
# Processors of images in Go's words, by which conditions of advisories name them.
GOARCH: Final[Mapping[str, str]] = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7": "arm",
    "x86": "386",
    "riscv64": "riscv64",
}
# Operators' statements about vulnerabilities of some names, that hold now (None) or held at a time.
OwnReader = Callable[[Connection, Collection[str], int | None], Sequence[OwnStatement]]


@dataclass(frozen=True, slots=True)
class Judged:
    """How an image or release stands to an advisory.

    Attributes:
        purls: The components for which it has this state.
        reason: What decided: a VEX statement's justification and author, or why it is unknown; "" where nothing is to
            be said.
        said: When the statement was made that decided; 0 where none did.
    """

    artifact: Artifact
    state: State
    purls: tuple[str, ...] = ()
    reason: str = ""
    said: int = 0


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
    stale: frozenset[str] = frozenset()  # Feeds whose statements make nothing good
    products: Mapping[UUID, UnverifiedStatement] = field(default_factory=dict)  # What was last said of whole products
    is_stated: bool = False  # Whether an operator says something of it

    @classmethod
    def read(
        cls,
        connection: Connection,
        versions: Sequence[AdvisoryVersion],
        own: OwnReader,
        *,
        now: int,
        at: int | None = None,
    ) -> Judge:
        """What the records know of an advisory, or knew at a time."""
        (found,) = cls.several(connection, [versions], own, now=now, at=at)
        living = [each.version_id for each in versions if each.withdrawn_at is None]
        return replace(found, listing=frozenset(component_rows.listing(connection, living)))

    @classmethod
    def several(
        cls,
        connection: Connection,
        advisories: Iterable[Sequence[AdvisoryVersion]],
        own: OwnReader,
        *,
        now: int,
        at: int | None = None,
    ) -> list[Judge]:
        """What the records know of many advisories, but for what lists their packages without being affected."""
        asked = list(advisories)
        numbers = sorted({each.version_id for versions in asked for each in versions})
        living = {each.version_id for versions in asked for each in versions if each.withdrawn_at is None}
        aliases = feed_rows.aliases_of(connection, numbers)
        feeds = {each.name: each for each in feed_rows.feeds(connection, at)}
        stale = frozenset(name for name, each in feeds.items() if each.is_stale(now))
        pairs: dict[int, list[Pair]] = {}
        for pair in component_rows.pairs_of(connection, sorted(living)):
            pairs.setdefault(pair.version_id, []).append(pair)
        names = [_names_of(versions, aliases) for versions in asked]
        every_name = {name for each in names for name in each}
        said_here = own(connection, every_name, at)
        said = [*map(statement_of, feed_rows.statements(connection, every_name, at))]
        statements = Statements([*said, *(each.as_statement() for each in said_here)])
        found = []
        for versions, known_as in zip(asked, names, strict=True):
            mine: dict[int, list[Pair]] = {}
            for pair in (pair for each in versions for pair in pairs.get(each.version_id, ())):
                mine.setdefault(pair.content_id, []).append(pair)
            fresh = any(each.feed in feeds and each.feed not in stale for each in versions)
            products = _of_products(said_here, known_as)
            stated = any(each.vulnerability in known_as for each in said_here)
            found.append(cls(tuple(versions), known_as, fresh, mine, frozenset(), statements, stale, products, stated))
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
        if state in BAD:
            return _worst_of(found)
        whole = self._of_all(artifact)
        if whole is not None and whole.state in BAD and not found:
            return whole
        unknown = self._unknown(artifact)
        if unknown:
            is_good = whole is not None and whole.state not in (*BAD, State.UNKNOWN) and state is not State.UNKNOWN
            return whole if whole is not None and is_good else Judged(artifact, State.UNKNOWN, reason=unknown)
        if found:
            return _worst_of(found)
        is_repaired = content is not None and content.content_id in self.listing
        return Judged(artifact, State.FIXED if is_repaired else State.NOT_AFFECTED)

    def _of_pair(self, artifact: Artifact, pair: Pair) -> Judged:
        is_match = pair.answer != OPEN
        said = self._about(artifact, pair.purl)
        if said is not None:
            return self._said(artifact, said, is_match=is_match)
        state = state_of(is_match=is_match, said=None, is_fresh=self.is_fresh)
        if not is_match:
            return Judged(artifact, state, reason=f"version {pair.component_version[:80]} has no place in its order")
        return Judged(artifact, state)

    def _of_all(self, artifact: Artifact) -> Judged | None:
        """What was last said of an image or release as a whole; None if nothing was."""
        said = self._about(artifact, "")
        return None if said is None else self._said(artifact, said, is_match=False)

    def _about(self, artifact: Artifact, purl: str) -> UnverifiedStatement | None:
        return None if self.statements.is_empty else self.statements.about(self.names, purl, names_of(artifact))

    def _said(self, artifact: Artifact, said: UnverifiedStatement, *, is_match: bool) -> Judged:
        is_believed = self.is_fresh and said.document not in self.stale
        state = state_of(is_match=is_match, said=said.status, is_fresh=is_believed)
        return Judged(artifact, state, reason=f"{said.justification or said.status} ({said.author})", said=said.said)

    def of_product(self, product_id: UUID, state: State, said: int) -> State:
        """How something stands on devices of a product that stands so elsewhere, by a statement made at ``said``."""
        last = self.products.get(product_id)
        if last is None or last.said < said:
            return state
        if last.status is Status.AFFECTED:
            return State.AFFECTED
        if last.status is Status.UNDER_INVESTIGATION:
            return State.UNDER_INVESTIGATION if state in (State.AFFECTED, State.UNKNOWN) else state
        is_better = self.is_fresh and state in (*BAD, State.UNKNOWN)
        return state_of(is_match=False, said=last.status, is_fresh=True) if is_better else state

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


def _worst_of(found: Sequence[tuple[Judged, Pair]]) -> Judged:
    """The worst of what its components are, with the components that are so."""
    state = worst(each.state for each, _ in found)
    same = [(each, pair) for each, pair in found if each.state is state]
    first, said = same[0][0], max(each.said for each, _ in same)
    return Judged(first.artifact, first.state, tuple(pair.purl for _, pair in same), first.reason, said)


def _of_products(said: Iterable[OwnStatement], names: Collection[str]) -> dict[UUID, UnverifiedStatement]:
    """What was last said of whole products; of two at one time the later recorded."""
    mine = [each for each in said if each.subject == "product" and each.vulnerability in names]
    return {each.subject_id: each.as_statement() for each in sorted(mine, key=lambda each: each.stated_at)}


def names_of(artifact: Artifact) -> tuple[str, ...]:
    """The names by which VEX documents may be about an image (its package's SHA-256 is one) or an OS release."""
    own = (str(artifact.artifact_id), f"urn:uuid:{artifact.artifact_id}")
    if artifact.catalog_id is None:
        purl = f"pkg:generic/armillary-os@{quote(artifact.version, safe='')}?chip={quote(artifact.chip, safe='')}"
        return (*own, purl, subject_name("release", artifact.artifact_id, None))
    mine = subject_name("image", artifact.artifact_id, artifact.catalog_id)
    return (*own, f"sha256:{artifact.sha256.hex()}", mine)


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


def judge_of(connection: Connection, advisory_id: str, own: OwnReader, *, now: int, at: int | None = None) -> Judge:
    """What is known of an advisory, or was at a time.

    Raises:
        NotFoundError: no feed has a record of this name; of a time, the message says when the first one came.
    """
    if not 0 < len(advisory_id) <= MAX_ID_CHARACTERS:
        raise no_advisory(advisory_id)
    versions = feed_rows.versions_named(connection, advisory_id, at=at)
    if not versions:
        later = () if at is None else feed_rows.versions_named(connection, advisory_id, held=False)
        raise unknown_then(connection, advisory_id, later) if later else no_advisory(advisory_id)
    # Records of other feeds that share a name with one of these are of the same vulnerability.
    aliases = feed_rows.aliases_of(connection, [each.version_id for each in versions])
    names = {name for each in versions for name in (each.advisory_id, *aliases.get(each.version_id, ()))}
    found = {each.version_id: each for each in versions}
    for name in sorted(names - {advisory_id}):
        found |= {each.version_id: each for each in feed_rows.versions_named(connection, name, at=at)}
    ordered = sorted(found.values(), key=lambda each: (each.advisory_id != advisory_id, each.version_id))
    return Judge.read(connection, ordered, own, now=now if at is None else at, at=at)


def first_editions(connection: Connection, versions: Sequence[AdvisoryVersion]) -> list[FeedEdition]:
    """The imports that brought these records first, the earliest in force first."""
    found = [
        edition
        for each in sorted({(one.feed, one.advisory_id) for one in versions})
        for edition in feed_rows.first_editions(connection, *each)
    ]
    return sorted(found, key=lambda each: (each.whole_at or each.begun_at, each.feed))


def no_advisory(advisory_id: str) -> NotFoundError:
    """The error for a name that no feed has."""
    return NotFoundError(
        f"no feed has an advisory {advisory_id!a:.140}",
        remedy="That is no statement about devices: look at the feeds: armillary advisory-feed list.",
    )


def unknown_then(connection: Connection, advisory_id: str, later: Sequence[AdvisoryVersion]) -> NotFoundError:
    """The error for a name that no feed had then."""
    came = next(iter(first_editions(connection, later)), None)
    since = "" if came is None or came.whole_at is None else (
        f": it came with edition {came.edition} of {came.feed}, in force since "
        f"{datetime.fromtimestamp(came.whole_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    )  # fmt: skip
    return NotFoundError(
        f"no feed that was in force then had an advisory {advisory_id!a:.140}{since}",
        remedy="Then it was unknown here, which says nothing of devices. Ask for a later time, or for now.",
    )
