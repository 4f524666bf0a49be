# SPDX-License-Identifier: Apache-2.0
"""An index over whole feeds, and a matcher that answers which advisories affect a component.

::

    index = Index(advisories)
    matcher = Matcher(index)
    found = matcher.match("pkg:pypi/django@3.2.10")
    [each.advisory for each in found.matches]

The matcher remembers its answer for each component: images share most of theirs, so that a whole feed against thousands
of images costs as much as their distinct components. An answer holds for its index; a new feed is a new index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from armillary.advisory.affected import Answer, CompiledAffected, compile_affected
from armillary.advisory.ecosystem import ECOSYSTEMS, NotAssessed, Package, folded, package_of, split_ecosystem
from armillary.advisory.version_order import key_of
from armillary.wire.advisory.osv import Advisory, Affected, Condition

# Answers that are remembered, about 1 KB each: a large distribution has 60,000 packages.
MAX_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on, in Go's words (``linux``, ``arm64``): conditions of advisories are held against it."""

    goos: str
    goarch: str


@dataclass(frozen=True, slots=True)
class Match:
    """An advisory that affects a component.

    Attributes:
        answer: ``listed`` or ``in-range``.
        fixed: The first fixed version above; "" if none is known.
        conditions: The targets on which it is affected; () means on all.
        unordered: The version has no place in its ecosystem's order: it is listed as text, a range says nothing.
    """

    advisory: str
    answer: Answer
    fixed: str = ""
    conditions: tuple[Condition, ...] = ()
    unordered: bool = False


@dataclass(frozen=True, slots=True)
class ComponentAnswer:
    """What all feeds of an index say of one component.

    Attributes:
        open: Advisories of this package whose ranges cannot be held against its version: for these it is not assessed.
        ordered: Its version has a place in the order of its ecosystem.
    """

    package: Package | NotAssessed
    matches: tuple[Match, ...] = ()
    open: tuple[str, ...] = ()
    ordered: bool = True

    @property
    def reason(self) -> str:
        """Why it is not assessed, in whole or in part; "" if it is."""
        if isinstance(self.package, NotAssessed):
            return self.package.reason
        if self.open:
            return f"version {self.package.version[:80]} cannot be ordered against {len(self.open)} advisories"
        return ""


@dataclass(slots=True)
class _Entry:
    """One package of one advisory; compiled when it is first asked."""

    advisory: str
    release: str
    affected: Affected
    compiled: CompiledAffected | None = None


class Index:
    """Advisories by package. Of several with one id the one modified last counts; withdrawn ones affect nothing."""

    def __init__(self, advisories: Iterable[Advisory]) -> None:
        self.advisories: dict[str, Advisory] = {}
        self._by_package: dict[tuple[str, str], list[_Entry]] = {}
        for each in advisories:
            held = self.advisories.get(each.id)
            if held is None or held.modified <= each.modified:
                self.advisories[each.id] = each
        for each in self.advisories.values():
            if each.withdrawn is None:
                self._enter(each)

    def _enter(self, advisory: Advisory) -> None:
        for affected in advisory.affected:
            base, release = split_ecosystem(affected.ecosystem)
            place = (base, folded(base, affected.name))
            self._by_package.setdefault(place, []).append(_Entry(advisory.id, release, affected))

    @property
    def packages(self) -> int:
        """How many packages some advisory names."""
        return len(self._by_package)

    @property
    def ecosystems(self) -> frozenset[str]:
        """The ecosystems, without releases, of which some advisory names a package."""
        return frozenset(base for base, _ in self._by_package)

    def entries(self, package: Package) -> Sequence[_Entry]:
        """What may affect a package: of its release, or of any where it or the advisory says none."""
        found = self._by_package.get((package.ecosystem, package.name), ())
        if not package.release:
            return found
        return [each for each in found if not each.release or each.release == package.release]


class Matcher:
    """Holds components against an index. Not for several threads."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._remembered: dict[tuple[str, str], ComponentAnswer] = {}

    def match(self, purl: str, version: str = "", platform: Platform | None = None) -> ComponentAnswer:
        """What the index says of a component; ``version`` is used where its package URL has none.

        Without a platform every condition is taken as met: more is said to be affected, never less.
        """
        found = self._remembered.get((purl, version))
        if found is None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[purl, version] = self._answer(package_of(purl, version))
        if platform is None or not any(each.conditions for each in found.matches):
            return found
        matches = tuple(each for each in found.matches if _is_met(each.conditions, platform))
        return ComponentAnswer(found.package, matches, found.open, found.ordered)

    def _answer(self, package: Package | NotAssessed) -> ComponentAnswer:
        if isinstance(package, NotAssessed):
            return ComponentAnswer(package, ordered=False)
        order = ECOSYSTEMS[package.ecosystem].order
        key = _key_or_none(order, package.version)
        matches: dict[str, Match] = {}
        unanswered: dict[str, None] = {}
        for each in self.index.entries(package):
            if each.compiled is None:
                each.compiled = compile_affected(each.affected, partial(key_of, order) if order else None)
            answer, fixed = each.compiled.answer(package.version, key)
            if answer is Answer.OPEN:
                unanswered[each.advisory] = None
            elif answer is not Answer.NOT_AFFECTED:
                match = Match(each.advisory, answer, fixed, _limiting(each.affected.conditions), unordered=key is None)
                matches[each.advisory] = _either(matches.get(each.advisory), match)
        return ComponentAnswer(
            package, tuple(matches.values()), tuple(each for each in unanswered if each not in matches), key is not None
        )


def _key_or_none(order: str, version: str) -> Any:
    try:
        return key_of(order, version) if order else None
    except ValueError:
        return None


def _limiting(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The conditions, unless one of them is met on every target."""
    return () if any(not each.goos and not each.goarch for each in conditions) else conditions


def _either(one: Match | None, other: Match) -> Match:
    """Of two entries of one advisory for one package, both affected: on what either names."""
    if one is None:
        return other
    conditions = (*one.conditions, *other.conditions) if one.conditions and other.conditions else ()
    return Match(one.advisory, one.answer, one.fixed or other.fixed, conditions, unordered=one.unordered)


def _is_met(conditions: Sequence[Condition], platform: Platform) -> bool:
    return not conditions or any(
        (not each.goos or platform.goos in each.goos) and (not each.goarch or platform.goarch in each.goarch)
        for each in conditions
    )
