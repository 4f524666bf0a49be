# SPDX-License-Identifier: Apache-2.0
"""Facts of vulnerabilities in the field: which there are, which are exploited, how fast they are repaired, and VEX."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from armillary.regulation.statement import Fact, absent, present, stale
from armillary.service.cases.scope import devices
from armillary.service.dossier import vex
from armillary.service.dossier.held import Held, Sources, Subject
from armillary.wire.advisory.vex_writing import FORMATS, write

# Advisories that are looked at one by one, the most urgent first: a million devices of 5,000 images take half a second
# for each.
MAX_ADVISORIES: Final = 30
# Pairs of advisory and product of the VEX documents in a file: about 10 MB of it.
MAX_PAIRS: Final = 20_000
MAX_NAMED: Final = 20


def gather(sources: Sources, subject: Subject) -> Iterator[Held]:
    """All of them."""
    answers = sources.advisories.answers
    rows, cursor = answers.page(subject.catalog, limit=MAX_ADVISORIES)
    product = subject.scope.product_id
    shown = [answers.show(each["advisory_id"], subject.catalog, product_id=product) for each in rows]
    mine = [each for each in shown if each["devices"].get("affected")]
    feeds = sources.advisories.feeds()
    is_stale = any(each.kind == "osv" and each.is_stale(subject.now) for each in feeds)
    has_feed = any(each.kind == "osv" for each in feeds)
    yield Held(_known(mine, has_feed=has_feed, is_stale=is_stale, is_cut=cursor is not None))
    yield Held(_exploited(sources, subject, mine))
    yield Held(_curves([each for each in shown if each["curve"][-1]["affected"] or each["curve"][-1]["patched"]]))
    yield _vex(subject, shown, has_feed=has_feed, is_stale=is_stale)


def _known(mine: Sequence[Mapping[str, Any]], *, has_feed: bool, is_stale: bool, is_cut: bool) -> Fact:
    name = "vulnerabilities-in-field"
    if not has_feed:
        return absent(name, "No feed of advisories is held, so that nothing is known: armillary advisory-feed import.")
    facts = ("advisory_id", "aliases", "summary", "severity", "cvss", "exploited_since", "devices", "patched_percent")
    value = {"advisories": [{each: one[each] for each in facts} for one in mine], "cut": is_cut}
    says = f"{len(mine)} known advisories affect devices" + (", and more that were not read" if is_cut else "")
    if is_stale:
        return stale(name, f"{says}; a feed is stale, so that there may be others.", value, "advisory feeds")
    return present(name, f"{says}.", value, "advisory feeds joined to what devices run")


def _exploited(sources: Sources, subject: Subject, mine: Sequence[Mapping[str, Any]]) -> Fact:
    """Whether what is exploited in the field is in a case: nobody may know of it and leave it there."""
    name = "exploited-in-field"
    exploited = [each for each in mine if each["exploited_since"] is not None]
    if not exploited:
        if mine and not any(each["exploitation_known"] for each in mine):
            todo = "armillary advisory-feed import of a catalogue of known exploited vulnerabilities"
            return absent(name, f"No fresh catalogue says whether what is in the field is exploited: {todo}.")
        return present(name, "Nothing in the field is known to be exploited.", {"advisories": []}, "advisory feeds")
    cases = sources.cases.list(subject.catalog, limit=1000).items
    reported = {entry.reference for each in cases for entry in each.entries if entry.subject == "advisory"}
    open_ones = [each for each in exploited if not reported & {each["advisory_id"], *each["aliases"]}]
    value = {
        "advisories": [each["advisory_id"] for each in exploited],
        "without_case": [each["advisory_id"] for each in open_ones],
    }
    if open_ones:
        names = ", ".join(each["advisory_id"] for each in open_ones[:MAX_NAMED])
        return absent(name, f"Exploited, in the field, and in no case: {names}: armillary case aware.", value)
    return present(name, f"{len(exploited)} are exploited; each is in a case.", value, "cases")


def _curves(mine: Sequence[Mapping[str, Any]]) -> Fact:
    if not mine:
        says = "Nothing that devices run was affected, so that there was nothing to repair."
        return present("patch-curves", says, {"advisories": []}, "advisory feeds joined to what devices run")
    value = [{name: each[name] for name in ("advisory_id", "known_since", "patched_percent", "curve")} for each in mine]
    says = "; ".join(
        f"{each['advisory_id']}: {devices(each['devices'].get('affected', 0))} affected, "
        f"{0 if each['patched_percent'] is None else each['patched_percent']} % repaired"
        for each in mine[:MAX_NAMED]
    )
    return present("patch-curves", says + ".", {"advisories": value}, "attested check-ins since each advisory came")


def _vex(subject: Subject, shown: Sequence[Mapping[str, Any]], *, has_feed: bool, is_stale: bool) -> Held:
    if not has_feed:
        return Held(absent("vex", "No feed of advisories is held, so that there is nothing to say of them."))
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
    if is_stale:
        return Held(stale("vex", f"{says} A feed is stale.", value, "advisory feeds"), parts)
    return Held(present("vex", says, value, "advisory feeds joined to bills of materials"), parts)
