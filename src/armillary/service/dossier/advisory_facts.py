# SPDX-License-Identifier: Apache-2.0
"""Facts of vulnerabilities in the field: which there are, which are exploited, how fast they are repaired, and VEX."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from armillary.regulation.statement import ABSENT, PRESENT, Fact, absent
from armillary.service.cases.scope import devices
from armillary.service.dossier import vex
from armillary.service.dossier.field_facts import assessed
from armillary.service.dossier.held import Held, Sources, Subject
from armillary.wire.advisory.vex_writing import FORMATS, write

# Advisories that are looked at one by one, the most urgent first: a million devices of 5,000 images take half a second
# for each.
MAX_ADVISORIES: Final = 30
# Pairs of advisory and product of the VEX documents in a file: about 10 MB of it.
MAX_PAIRS: Final = 20_000
MAX_NAMED: Final = 20


class _Worth(NamedTuple):
    """What an answer about vulnerabilities is worth: no state is better than that of what it rests on."""

    state: str
    why: str

    def fact(self, name: str, says: str, value: Any, *sources: str) -> Fact:
        """A fact that is present where everything is known, and else as little as that."""
        said = f"{says} {self.why}".strip()
        return Fact(name=name, state=self.state, says=said, value=value, sources=sources)


def gather(sources: Sources, subject: Subject) -> Iterator[Held]:
    """All of them."""
    answers, feeds = sources.advisories.answers, sources.advisories.feeds()
    known = assessed(sources, subject)
    worth = _worth(subject, known, has_feed=any(each.kind == "osv" for each in feeds))
    rows, cursor = answers.page(subject.catalog, limit=MAX_ADVISORIES)
    product = subject.scope.product_id
    shown = [answers.show(each["advisory_id"], subject.catalog, product_id=product) for each in rows]
    mine = [each for each in shown if each["devices"].get("affected")]
    yield Held(known)
    yield Held(_known(worth, mine, is_cut=cursor is not None))
    has_catalogue = any(each.kind == "kev" and not each.is_stale(subject.now) for each in feeds)
    yield Held(_exploited(sources, subject, worth, mine, has_catalogue=has_catalogue))
    yield Held(
        _curves(worth, [each for each in shown if each["curve"][-1]["affected"] or each["curve"][-1]["patched"]])
    )
    yield _vex(subject, worth, shown)


def _worth(subject: Subject, known: Fact, *, has_feed: bool) -> _Worth:
    if not has_feed:
        return _Worth(ABSENT, "No feed of advisories is held: armillary advisory-feed import.")
    if known.state != PRESENT:
        return _Worth(known.state, known.says)
    silent = subject.field.devices - subject.field.attested
    if silent:
        return _Worth(ABSENT, f"{devices(silent)} did not prove what they run: of them nothing is known.")
    return _Worth(PRESENT, "")


def _known(worth: _Worth, mine: Sequence[Mapping[str, Any]], *, is_cut: bool) -> Fact:
    facts = ("advisory_id", "aliases", "summary", "severity", "cvss", "exploited_since", "devices", "patched_percent")
    value = {"advisories": [{each: one[each] for each in facts} for one in mine], "cut": is_cut}
    says = f"{len(mine)} known advisories affect devices" + (", and more that were not read." if is_cut else ".")
    return worth.fact("vulnerabilities-in-field", says, value, "advisory feeds joined to what devices run")


def _exploited(
    sources: Sources, subject: Subject, worth: _Worth, mine: Sequence[Mapping[str, Any]], *, has_catalogue: bool
) -> Fact:
    """Whether what is exploited in the field is in a case: nobody may know of it and leave it there."""
    name = "exploited-in-field"
    exploited = [each for each in mine if each["exploited_since"] is not None]
    cases = sources.cases.list(subject.catalog, limit=1000).items if exploited else ()
    reported = {entry.reference for each in cases for entry in each.entries if entry.subject == "advisory"}
    open_ones = [each for each in exploited if not reported & {each["advisory_id"], *each["aliases"]}]
    value = {
        "advisories": [each["advisory_id"] for each in exploited],
        "without_case": [each["advisory_id"] for each in open_ones],
    }
    if open_ones:
        names = ", ".join(each["advisory_id"] for each in open_ones[:MAX_NAMED])
        return absent(name, f"Exploited, in the field, and in no case: {names}: armillary case aware.", value)
    if not has_catalogue:
        todo = "armillary advisory-feed import of a catalogue of known exploited vulnerabilities"
        return absent(name, f"No fresh catalogue says what is exploited: {todo}.", value)
    return worth.fact(name, f"{len(exploited)} are known to be exploited; each is in a case.", value, "cases", "feeds")


def _curves(worth: _Worth, mine: Sequence[Mapping[str, Any]]) -> Fact:
    value = [{name: each[name] for name in ("advisory_id", "known_since", "patched_percent", "curve")} for each in mine]
    curves = "; ".join(
        f"{each['advisory_id']}: {devices(each['devices'].get('affected', 0))} affected, "
        f"{0 if each['patched_percent'] is None else each['patched_percent']} % repaired"
        for each in mine[:MAX_NAMED]
    )
    says = f"{curves}." if mine else "No device is known to have run what an advisory affects."
    source = "attested check-ins since each advisory came"
    return worth.fact("patch-curves", says, {"advisories": value}, source)


def _vex(subject: Subject, worth: _Worth, shown: Sequence[Mapping[str, Any]]) -> Held:
    claims = vex.claims_of(shown, {str(each.artifact_id) for each in subject.field.artifacts})
    if (pairs := sum(len(each.products) for each in claims)) > MAX_PAIRS:
        todo = "armillary dossier vex writes it alone"
        says = f"{pairs} products of {len(shown)} advisories have no room in this file: {todo}."
        return Held(absent("vex", says, {"statements": len(claims), "products": pairs}))
    head = vex.head_of(subject.scope, subject.now)
    parts = {
        f"evidence/vex/{form}.json": json.dumps(write(form, head, claims), indent=1).encode() + b"\n"
        for form in FORMATS
        if claims
    }
    value = {"statements": len(claims), "documents": sorted(parts)}
    says = f"{len(claims)} statements about vulnerabilities in what is in the field, as OpenVEX, CycloneDX and CSAF."
    return Held(worth.fact("vex", says, value, "advisory feeds joined to bills of materials"), parts)
