# SPDX-License-Identifier: Apache-2.0
"""VEX in CycloneDX's JSON form: ``vulnerabilities`` with an ``analysis`` of a bill of materials, alone or within it.

::

    serialNumber, version, metadata {timestamp, supplier, manufacturer, authors}
    vulnerabilities[]: id, references[] {id}, published, updated, affects[] {ref, versions[]}
      .analysis: state, justification, detail
    components[]: bom-ref, purl, hashes[]; components nest

A vulnerability without an analysis is a finding, no statement, and is left out. ``ref`` names a component of this
document, or by ``urn:cdx:SERIAL/VERSION#REF`` one of another, which is kept as it is. Where ``versions`` are given, the
statement is about those that are listed as affected; ranges of versions are not read, so that nothing is said of them.

Source: ECMA-424, "vulnerabilities" (CycloneDX 1.4 to 1.6).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from armillary.wire.advisory.fields import MAX_DEPTH, Fields
from armillary.wire.advisory.vex import (
    MAX_NAMES,
    MAX_PRODUCTS,
    MAX_STATEMENTS,
    Product,
    Status,
    UnverifiedStatement,
    hash_id,
)

WHAT: Final = "cyclonedx-vex"
MAX_COMPONENTS: Final = 50_000
STATES: Final[Mapping[str, Status]] = MappingProxyType(
    {
        "resolved": Status.FIXED,
        "resolved_with_pedigree": Status.FIXED,
        "exploitable": Status.AFFECTED,
        "in_triage": Status.UNDER_INVESTIGATION,
        "false_positive": Status.NOT_AFFECTED,
        "not_affected": Status.NOT_AFFECTED,
    }
)


def statements_of(document: Mapping[str, Any]) -> tuple[UnverifiedStatement, ...]:
    """The statements of a decoded document; AdvisoryError names the place that is none."""
    fields = Fields(document, WHAT)
    metadata = fields.within("metadata")
    said = None if metadata is None else metadata.time("timestamp")
    version = fields.take("version")
    name = f"{fields.optional('serialNumber') or 'no serial number'}/{version if type(version) is int else 1}"
    known = dict(_components(fields, 0))
    if metadata is not None and (whole := metadata.within("component")) is not None:
        known |= dict(_component(whole))
    found = []
    for each in fields.each("vulnerabilities", most=MAX_STATEMENTS):
        analysis = each.within("analysis")
        if analysis is not None and analysis.take("state") is not None:
            found.append(_statement(each, analysis, known, said, _author(metadata), name))
    return tuple(found)


def _statement(
    fields: Fields, analysis: Fields, known: Mapping[str, tuple[str, ...]], said: int | None, author: str, document: str
) -> UnverifiedStatement:
    names = [fields.text("id"), *(each.text("id") for each in fields.each("references", most=MAX_NAMES))]
    times = (analysis.time("lastUpdated"), fields.time("updated"), said, analysis.time("firstIssued"))
    time = next((each for each in times if each is not None), None)
    if time is None:
        raise fields.refused("updated", "a time here, or metadata.timestamp", None)
    return UnverifiedStatement(
        names=tuple(dict.fromkeys(names)),
        products=tuple(each for place in fields.each("affects", most=MAX_PRODUCTS) for each in _products(place, known)),
        status=STATES[analysis.choice("state", frozenset(STATES))],
        said=time,
        author=author,
        document=document,
        justification=analysis.optional("justification"),
        reason=analysis.prose("detail"),
    )


def _products(fields: Fields, known: Mapping[str, tuple[str, ...]]) -> Iterator[Product]:
    ids = known.get(fields.text("ref"), (fields.text("ref"),))
    if fields.take("versions") is None:
        yield Product(ids)
        return
    for each in fields.each("versions", most=MAX_PRODUCTS):
        status = each.optional("status") or "affected"
        if status == "affected" and each.take("version") is not None:
            version = each.text("version")
            named = tuple(f"{_versionless(name)}@{version}" for name in ids if name.startswith("pkg:"))
            if named:
                yield Product(named)


def _versionless(purl: str) -> str:
    """A package URL up to its version; qualifiers go with it."""
    path = purl.partition("#")[0].partition("?")[0]
    before, at, version = path.rpartition("@")
    return before if at and "/" not in version else path


def _components(fields: Fields, depth: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    if depth > MAX_DEPTH:
        raise fields.refused("components", f"at most {MAX_DEPTH} levels", "more")
    for each in fields.each("components", most=MAX_COMPONENTS):
        yield from _component(each)
        yield from _components(each, depth + 1)


def _component(fields: Fields) -> Iterator[tuple[str, tuple[str, ...]]]:
    ref, purl = fields.optional("bom-ref"), fields.optional("purl", most=1024)
    hashes = [hash_id(each.text("alg"), each.text("content")) for each in fields.each("hashes", most=64)]
    ids = tuple(each for each in (purl, *hashes) if each)
    if ref and ids:
        yield ref, ids


def _author(metadata: Fields | None) -> str:
    for word in ("manufacturer", "supplier", "manufacture"):
        if metadata is not None and (whole := metadata.within(word)) is not None and whole.optional("name"):
            return whole.optional("name")
    if metadata is not None:
        for each in metadata.each("authors", most=64):
            return each.optional("name") or each.optional("email")
    return ""
