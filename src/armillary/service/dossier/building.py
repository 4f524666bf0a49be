# SPDX-License-Identifier: Apache-2.0
"""Makes the parts of a dossier: gathers facts, asks each table of requirements, writes it for programs and people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from armillary import content
from armillary.errors import NotFoundError
from armillary.regulation.draft import time_text
from armillary.regulation.standard import Standard, read_standard
from armillary.regulation.statement import STATES, Fact, Statement, statement
from armillary.service.cases.product_facts import of_products
from armillary.service.dossier import (
    advisory_facts,
    device_facts,
    disclosure_facts,
    field_facts,
    operation_facts,
    update_facts,
)
from armillary.service.dossier.held import Held, Sources, Subject
from armillary.service.dossier.proofs import proofs_of
from armillary.wire.dossier.dossier import DOSSIER, PROOFS, SUMMARY, VERSION, text_of

# Tables of dossiers, in their order; that of reports is asked by drafts.
TABLES: Final = (
    "cra-annex-vii", "cra-annex-i", "etsi-en-303-645", "etsi-ts-103-701-ixit", "iec-62443-4-2", "nist-ir-8259a",
)  # fmt: skip
_ROOMS: Final[Sequence[Callable[[Sources, Subject], Iterator[Held]]]] = (
    field_facts.gather,
    advisory_facts.gather,
    device_facts.gather,
    disclosure_facts.gather,
    update_facts.gather,
    operation_facts.gather,
)


@cache
def tables() -> tuple[Standard, ...]:
    """The tables of requirements; WireError if one is wrong, which the tests of the content find first."""
    files = content.standard_files()
    return tuple(read_standard(files[f"{name}.yml"], f"{name}.yml") for name in TABLES)


def gather(sources: Sources, subject: Subject) -> dict[str, Held]:
    """Every fact, by its name."""
    found = [Held(each) for each in of_products(subject.scope, subject.scope.products, subject.now)]
    for room in _ROOMS:
        found += room(sources, subject)
    return {each.fact.name: each for each in found}


def build(
    sources: Sources, subject: Subject, dossier_id: UUID, product: str
) -> tuple[dict[str, bytes], dict[str, int]]:
    """The parts of a dossier behind its index, and how many statements have each state."""
    held = gather(sources, subject)
    facts = {name: each.fact for name, each in held.items()}
    evidence: dict[str, bytes] = {}
    resting: dict[str, list[str]] = {}
    for name, each in held.items():
        mine = dict(each.parts)
        if each.fact.value is not None:
            mine[f"evidence/facts/{name}.json"] = text_of(each.fact.value)
        resting[name] = sorted(mine)
        evidence |= mine
    proofs = proofs_of(sources, subject)
    stated = [(table, [statement(each, facts) for each in table.requirements]) for table in tables()]
    document = {
        "format": VERSION,
        "dossier_id": str(dossier_id),
        "made_at": subject.now,
        "catalog": subject.scope.catalog,
        "product": product,
        "logs": {log: sources.logs.key(log).text for log in PROOFS},
        "standards": [
            {
                "id": table.id,
                "title": table.title,
                "source": table.source,
                "statements": [_statement(each, resting, evidence) for each in statements],
            }
            for table, statements in stated
        ],
        "facts": {name: _fact(each, resting[name]) for name, each in facts.items()},
    }
    every = [each for _, statements in stated for each in statements]
    counts = {state: sum(each.state == state for each in every) for state in STATES}
    summary = _summary(document, stated, counts)
    parts = {DOSSIER: text_of(document), SUMMARY: summary.encode(), **dict(sorted(evidence.items())), **proofs}
    return parts, counts


def _fact(found: Fact, evidence: Sequence[str]) -> dict[str, Any]:
    return {"state": found.state, "says": found.says, "sources": list(found.sources), "evidence": list(evidence)}


def _statement(found: Statement, resting: Mapping[str, Sequence[str]], evidence: Mapping[str, bytes]) -> dict[str, Any]:
    asked = found.requirement
    names = sorted({part for each in found.facts for part in resting.get(each.name, ())})
    return {
        "id": asked.id,
        "reference": asked.reference,
        "title": asked.title,
        "status": asked.status,
        "state": found.state,
        "says": found.says,
        "facts": [each.name for each in found.facts if each.name in resting],
        "evidence": [{"part": name, "sha256": sha256(evidence[name]).hexdigest()} for name in names],
    }


def _summary(
    document: Mapping[str, Any], stated: Sequence[tuple[Standard, Sequence[Statement]]], counts: Mapping[str, int]
) -> str:
    whose = document["catalog"] or "all catalogs"
    of = f"{whose}, product {document['product']}" if document["product"] else whose
    lines = [
        f"Dossier {document['dossier_id']} of {of}, made {time_text(document['made_at'])}.",
        "Each line says whether there is evidence: present, absent, stale or out of scope for software. Whether a",
        "requirement is met is for a person to judge by that evidence.",
        ", ".join(f"{number} {state}" for state, number in counts.items()) + ".",
    ]
    for table, statements in stated:
        lines += ["", table.title, table.source]
        for each in statements:
            said = each.says.replace("\n", " ")
            lines.append(f"  [{each.state}] {each.requirement.reference}: {each.requirement.title}. {said}")
    gaps = {each.name: each.says for _, statements in stated for one in statements if one.is_gap for each in one.facts
            if each.state in ("absent", "stale")}  # fmt: skip
    lines += ["", f"Gaps: {len(gaps)}"]
    lines += [f"  {name}: {says}".replace("\n", " ") for name, says in sorted(gaps.items())]
    return "\n".join(lines) + "\n"


def no_such_dossier(dossier_id: UUID) -> NotFoundError:
    """The error for a dossier that does not exist, or is not of the caller's catalog."""
    return NotFoundError(f"dossier {dossier_id} does not exist", remedy="List them: armillary dossier list.")
