# SPDX-License-Identifier: Apache-2.0
"""Holds components against advisories: new records against all components, new components against all records.

The package ``armillary.advisory`` and the libraries of versions below it are loaded here, when a feed or a bill of
materials comes, and nowhere at rest.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from armillary.advisory.affected import Answer
from armillary.advisory.ecosystem import folded, split_ecosystem
from armillary.advisory.match import Index, Match, Matcher
from armillary.engines.records.schema.advisory_rows import AFFECTED, LISTED, OPEN, ComponentRow
from armillary.service.advisories.listed import MAX_ECOSYSTEM, MAX_PACKAGE
from armillary.wire.advisory.osv import Advisory, read_advisory

# What devices run: an advisory for other systems alone is about none of them.
SYSTEM: Final = "linux"


def packages_of(advisory: Advisory) -> set[tuple[str, str]]:
    """The packages of an advisory: ecosystem without a release, and name as packages are told apart."""
    named = ((split_ecosystem(each.ecosystem)[0], each.name) for each in advisory.affected)
    found = {(base, folded(base, name)) for base, name in named}
    return {(base, name) for base, name in found if len(base) <= MAX_ECOSYSTEM and len(name) <= MAX_PACKAGE}


def matched(advisories: Sequence[Advisory], components: Iterable[ComponentRow]) -> dict[str, list[dict[str, Any]]]:
    """How components stand to advisories: id -> rows of ``component_advisory`` without the version."""
    matcher = Matcher(Index(advisories))
    found: dict[str, list[dict[str, Any]]] = {}
    for component in components:
        answer = matcher.match(component.purl, component.version)
        for match in answer.matches:
            goarch = _goarch(match)
            if goarch is None:
                continue
            kind = LISTED if match.unordered and match.answer is Answer.LISTED else AFFECTED
            row = {"component_id": component.component_id, "answer": kind, "goarch": goarch}
            found.setdefault(match.advisory, []).append(row)
        for advisory in answer.open:
            row = {"component_id": component.component_id, "answer": OPEN, "goarch": ""}
            found.setdefault(advisory, []).append(row)
    return found


def _goarch(match: Match) -> str | None:
    """The only processors on which it is affected, "" for all; None if it is on no system that devices run."""
    if not match.conditions:
        return ""
    here = [each for each in match.conditions if not each.goos or SYSTEM in each.goos]
    if not here:
        return None
    if any(not each.goarch for each in here):
        return ""
    return " ".join(sorted({name for each in here for name in each.goarch}))


def fixes_of(advisory: Advisory) -> str:
    """JSON of the versions that repair it: package -> versions."""
    found: dict[str, list[str]] = {}
    for each in advisory.affected:
        fixed = [
            event.version for one in each.ranges if one.kind != "GIT" for event in one.events if event.kind == "fixed"
        ]
        known = found.setdefault(each.name, [])
        known += [version for version in fixed if version not in known]
    return json.dumps({name: versions for name, versions in found.items() if versions})


def deflated(record: bytes) -> bytes:
    """A record as it is kept."""
    return zlib.compress(record, 6)


def inflated(document: bytes) -> Advisory:
    """The advisory of a kept record."""
    return read_advisory(zlib.decompress(document))
