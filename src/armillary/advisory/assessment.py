# SPDX-License-Identifier: Apache-2.0
"""The state of an advisory in an image, and of the image: never "clean".

Of one advisory for one component, from match, statement and coverage:

==========  ===================  ===========  ===================
match       statement            coverage     state
==========  ===================  ===========  ===================
affected    none                 any          affected
affected    affected             any          affected
affected    under investigation  any          under-investigation
affected    fixed, not affected  fresh        fixed, not-affected
affected    fixed, not affected  not fresh    unknown
open        affected             any          affected
open        under investigation  any          under-investigation
open        fixed, not affected  fresh        fixed, not-affected
open        others               any          unknown
==========  ===================  ===========  ===================

Of an image, the first that is true: affected; under-investigation; unknown, if a feed for one of its components is not
fresh or an advisory is open; not-assessed, if a component cannot be judged, or no bill of materials names one;
none-known, which says that fresh feeds name nothing against any component, and until when they were true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from armillary.advisory.coverage import Coverage, Feed, coverage_of
from armillary.advisory.ecosystem import NotAssessed
from armillary.advisory.match import ComponentAnswer, Matcher, Platform
from armillary.advisory.statements import Statements
from armillary.wire.advisory.vex import Status, UnverifiedStatement


class State(StrEnum):
    """How an image stands to an advisory, or, by the last two words as well, to all."""

    AFFECTED = "affected"
    UNDER_INVESTIGATION = "under-investigation"
    UNKNOWN = "unknown"
    FIXED = "fixed"
    NOT_AFFECTED = "not-affected"
    NOT_ASSESSED = "not-assessed"
    NONE_KNOWN = "none-known"


# Several components of an image may be of one package: the worst counts.
_BADNESS: Final = MappingProxyType(
    {
        State.NOT_AFFECTED: 0,
        State.FIXED: 1,
        State.UNKNOWN: 2,
        State.UNDER_INVESTIGATION: 3,
        State.AFFECTED: 4,
    }
)
_SAID: Final = MappingProxyType({Status.FIXED: State.FIXED, Status.NOT_AFFECTED: State.NOT_AFFECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One advisory in one component of an image.

    Attributes:
        fixed: The first fixed version; "" if none is known.
        statement: What was said of it last, if anything.
        as_of: When the feed that covers its ecosystem was true, seconds since 1970; None where none does.
    """

    advisory: str
    purl: str
    version: str
    state: State
    fixed: str
    statement: UnverifiedStatement | None
    as_of: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """An image against all feeds.

    Attributes:
        verdicts: One for each component and advisory that says something of it.
        not_assessed: Components that cannot be judged, and why.
        uncovered: Ecosystems (with releases) whose feeds are not fresh, and what they are.
        as_of: The oldest time of the feeds that cover its components; None where one of them is missing.
    """

    state: State
    verdicts: tuple[Verdict, ...]
    components: int
    not_assessed: Mapping[str, str]
    uncovered: Mapping[str, Coverage]
    as_of: int | None

    def by_advisory(self) -> dict[str, State]:
        """The worst state of each advisory."""
        found: dict[str, State] = {}
        for each in self.verdicts:
            held = found.get(each.advisory)
            if held is None or _BADNESS[each.state] > _BADNESS[held]:
                found[each.advisory] = each.state
        return found

    def counts(self) -> Counter[State]:
        """How many advisories are in which state."""
        return Counter(self.by_advisory().values())


def assess(
    matcher: Matcher,
    components: Sequence[tuple[str, str]],
    *,
    feeds: Sequence[Feed],
    statements: Statements,
    image: Collection[str],
    now: int,
    platform: Platform | None = None,
) -> Assessment:
    """Hold an image's components, each a package URL ("" for none) and a version or name, against all feeds.

    ``image`` are its names, by which VEX statements may be about it (:meth:`Statements.about`).
    """
    verdicts: list[Verdict] = []
    not_assessed: dict[str, str] = {}
    covered: dict[str, Coverage] = {}
    for purl, version in components:
        answer = matcher.match(purl, version, platform)
        if answer.reason:
            not_assessed[purl or version] = answer.reason
        package = answer.package
        if isinstance(package, NotAssessed):
            continue
        place = f"{package.ecosystem}:{package.release}" if package.release else package.ecosystem
        if place not in covered:
            covered[place] = coverage_of(feeds, package.ecosystem, package.release, now)
        verdicts += _verdicts(answer, purl, package.version, covered[place], matcher, statements, image)
    times = [each.as_of for each in covered.values()]
    known = [each for each in times if each is not None]
    return Assessment(
        state=_overall(verdicts, covered.values(), not_assessed, len(components)),
        verdicts=tuple(verdicts),
        components=len(components),
        not_assessed=not_assessed,
        uncovered={place: each for place, each in covered.items() if not each.is_fresh},
        as_of=min(known) if known and len(known) == len(times) else None,
    )


def _verdicts(
    answer: ComponentAnswer,
    purl: str,
    version: str,
    coverage: Coverage,
    matcher: Matcher,
    statements: Statements,
    image: Collection[str],
) -> Iterable[Verdict]:
    found = [(each.advisory, each.fixed, True) for each in answer.matches]
    found += [(each, "", False) for each in answer.open]
    for advisory, fixed, is_match in found:
        said = statements.about(matcher.index.advisories[advisory].names, purl, image)
        state = state_of(is_match=is_match, said=None if said is None else said.status, is_fresh=coverage.is_fresh)
        yield Verdict(
            advisory=advisory, purl=purl, version=version, state=state, fixed=fixed, statement=said,
            as_of=coverage.as_of,
        )  # fmt: skip


def state_of(*, is_match: bool, said: Status | None, is_fresh: bool) -> State:
    """The table above; ``is_match`` is False for an advisory that is open."""
    if said is Status.AFFECTED or (said is None and is_match):
        return State.AFFECTED
    if said is Status.UNDER_INVESTIGATION:
        return State.UNDER_INVESTIGATION
    return State.UNKNOWN if said is None or not is_fresh else _SAID[said]


def _overall(
    verdicts: Iterable[Verdict], coverages: Iterable[Coverage], not_assessed: Mapping[str, str], components: int
) -> State:
    states = {each.state for each in verdicts}
    for state in (State.AFFECTED, State.UNDER_INVESTIGATION):
        if state in states:
            return state
    if State.UNKNOWN in states or not all(each.is_fresh for each in coverages):
        return State.UNKNOWN
    return State.NOT_ASSESSED if not_assessed or not components else State.NONE_KNOWN
