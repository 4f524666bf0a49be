# SPDX-License-Identifier: Apache-2.0
"""Advisories in OSV's JSON form: identity, dates, and which versions of which packages are affected.

::

    id, modified          required
    published, withdrawn  times; a withdrawn advisory affects nothing
    aliases, upstream     other names of the same vulnerability: CVE-2026-1, GHSA-...
    severity[]            type (CVSS_V2, CVSS_V3, CVSS_V4, Ubuntu), score (a vector, or a word)
    affected[]            package {ecosystem, name, purl}, versions[], ranges[], severity[]
      .ranges[]           type (SEMVER, ECOSYSTEM, GIT), events[]: one of introduced, fixed, last_affected, limit
      .ecosystem_specific.imports[]   Go: path, goos[], goarch[]; the package is affected on these only

Go's ``custom_ranges`` name versions that Go's module proxy does not know; they are not read, as OSV does not. An entry
of ``affected`` without a package (a range of commits of a repository) names no component and is left out. Old records
with two keys in one event are taken as two events.

Source: OSV schema 1.7 (ossf/osv-schema), Go's database format (go.dev/doc/security/vuln/database).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from armillary.wire.advisory.fields import Fields, decode_json

WHAT: Final = "osv-advisory"
# The largest records of OSV's feeds (a kernel advisory with each affected version listed) have about 5 MB.
MAX_BYTES: Final = 16 << 20
MAX_AFFECTED: Final = 20_000
MAX_RANGES: Final = 2_000
MAX_EVENTS: Final = 20_000
MAX_VERSIONS: Final = 50_000
MAX_NAMES: Final = 2_000
MAX_IMPORTS: Final = 5_000

EventKind = Literal["introduced", "fixed", "last_affected", "limit"]
EVENT_KINDS: Final[tuple[EventKind, ...]] = ("introduced", "fixed", "last_affected", "limit")
RANGE_KINDS: Final = ("SEMVER", "ECOSYSTEM", "GIT")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+@/-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Event:
    """A version at which the state changes; ``0`` is before every version, ``*`` of a limit beyond every version."""

    kind: EventKind
    version: str


@dataclass(frozen=True, slots=True)
class Range:
    """Events in no order; ``kind`` is one of :data:`RANGE_KINDS`."""

    kind: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Go: a package of the module, and for which targets it is compiled in; no ``goos`` means any."""

    path: str
    goos: tuple[str, ...]
    goarch: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Severity:
    """``kind`` such as ``CVSS_V3``; ``score`` is a vector, or for distributions a word."""

    kind: str
    score: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """One package; ``ecosystem`` with its release where it has one: ``Debian:12``."""

    ecosystem: str
    name: str
    versions: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    conditions: tuple[Condition, ...] = ()
    severity: tuple[Severity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """What an advisory says; times in seconds since 1970. Nobody has checked who wrote it."""

    id: str
    modified: int
    published: int | None = None
    withdrawn: int | None = None
    aliases: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    summary: str = ""
    severity: tuple[Severity, ...] = ()
    affected: tuple[Affected, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Its id, then its aliases and those of its upstream, each once."""
        return tuple(dict.fromkeys((self.id, *self.aliases, *self.upstream)))


def read_advisory(data: bytes) -> Advisory:
    """One advisory of a JSON document.

    Raises:
        AdvisoryError: it breaks a limit or is no OSV record; the message says where.
    """
    return advisory_of(decode_json(data, what=WHAT, limit=MAX_BYTES))


def advisory_of(document: Mapping[str, Any]) -> Advisory:
    """As :func:`read_advisory`, of a decoded object."""
    fields = Fields(document, WHAT)
    return Advisory(
        id=fields.text("id", most=128, pattern=_ID),
        modified=fields.needed_time("modified"),
        published=fields.time("published"),
        withdrawn=fields.time("withdrawn"),
        aliases=fields.texts("aliases", most=MAX_NAMES),
        upstream=fields.texts("upstream", most=MAX_NAMES),
        summary=fields.prose("summary"),
        severity=_severities(fields),
        affected=tuple(_affected(each) for each in fields.each("affected", most=MAX_AFFECTED) if each.take("package")),
    )


def _affected(fields: Fields) -> Affected:
    package = fields.within("package")
    if package is None:
        raise fields.refused("package", "an object", None)
    return Affected(
        ecosystem=package.text("ecosystem"),
        name=package.text("name"),
        versions=fields.texts("versions", most=MAX_VERSIONS),
        ranges=tuple(_range(each) for each in fields.each("ranges", most=MAX_RANGES)),
        conditions=_conditions(fields),
        severity=_severities(fields),
    )


def _range(fields: Fields) -> Range:
    kind = fields.choice("type", RANGE_KINDS)
    events: list[Event] = []
    for each in fields.each("events", most=MAX_EVENTS):
        found = [Event(word, each.text(word)) for word in EVENT_KINDS if each.take(word) is not None]
        if not found:
            raise each.refused("", f"one of {', '.join(EVENT_KINDS)}", None)
        events += found
    if not any(event.kind == "introduced" for event in events):
        raise fields.refused("events", "an introduced event", f"{len(events)} others")
    return Range(kind, tuple(events))


def _conditions(fields: Fields) -> tuple[Condition, ...]:
    specific = fields.take("ecosystem_specific")
    if not isinstance(specific, Mapping) or not isinstance(specific.get("imports"), list):
        return ()  # of other ecosystems, whose fields mean other things
    within = Fields(specific, fields.what, f"{fields.path}.ecosystem_specific")
    return tuple(
        Condition(each.optional("path"), each.texts("goos", most=64), each.texts("goarch", most=64))
        for each in within.each("imports", most=MAX_IMPORTS)
    )


def _severities(fields: Fields) -> tuple[Severity, ...]:
    return tuple(Severity(each.text("type"), each.text("score")) for each in fields.each("severity", most=64))
