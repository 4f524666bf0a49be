# SPDX-License-Identifier: Apache-2.0
"""Writes what we say of vulnerabilities in our products: OpenVEX 0.2.0, CycloneDX 1.6, CSAF 2.0 (profile VEX).

The three documents say the same, and our own readers give back what was written (``openvex.py``, ``cyclonedx_vex.py``,
``csaf_vex.py``). A product is named by ``urn:uuid:`` and the id of its image or release. What is not known is under
investigation: VEX has no word for it, and no other one is better.

CSAF's profile VEX (CSAF 2.0 §4.5) asks for what to do about each affected product and why each other one is not
affected: where nobody said it, the text says that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from armillary.wire.advisory.openvex import JUSTIFICATIONS
from armillary.wire.advisory.vex import Status

FORMATS: Final = ("openvex", "cyclonedx", "csaf")
_STATES: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.AFFECTED: "exploitable",
        Status.FIXED: "resolved",
        Status.NOT_AFFECTED: "not_affected",
        Status.UNDER_INVESTIGATION: "in_triage",
    }
)
_CSAF: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.AFFECTED: "known_affected",
        Status.FIXED: "fixed",
        Status.NOT_AFFECTED: "known_not_affected",
        Status.UNDER_INVESTIGATION: "under_investigation",
    }
)
UNSAID: Final = "No reason was given."
NO_ACTION: Final = "No fix is available yet; the maker will publish one."


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedProduct:
    """An image or release; ``sha256`` is hex, empty where it has none of its own."""

    product_id: UUID
    name: str
    version: str
    sha256: str = ""

    @property
    def urn(self) -> str:
        """How documents name it."""
        return f"urn:uuid:{self.product_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is said of a vulnerability in products.

    Attributes:
        names: The vulnerability: its id, then other names.
        summary: What it is.
        justification: Why they are not affected: a word of OpenVEX, or empty.
        reason: The same for people.
        action: What to do about it where they are affected.
    """

    names: tuple[str, ...]
    summary: str
    products: tuple[ClaimedProduct, ...]
    status: Status
    justification: str = ""
    reason: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VexHead:
    """Who says it, when (Unix seconds UTC), and what the document is called."""

    document_id: UUID
    author: str
    namespace: str  # A URI of the author
    at: int
    title: str


def write(form: str, head: VexHead, claims: Sequence[Claim]) -> dict[str, Any]:
    """The document in one of :data:`FORMATS`; KeyError for another."""
    return {"openvex": _openvex, "cyclonedx": _cyclonedx, "csaf": _csaf}[form](head, claims)


def time_of(at: int) -> str:
    """A time as all three write it (RFC 3339)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _openvex(head: VexHead, claims: Sequence[Claim]) -> dict[str, Any]:
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": f"urn:uuid:{head.document_id}",
        "author": head.author,
        "timestamp": time_of(head.at),
        "version": 1,
        "statements": [
            {
                "vulnerability": {
                    "name": each.names[0],
                    **({"aliases": list(each.names[1:])} if each.names[1:] else {}),
                },
                "products": [_openvex_product(one) for one in each.products],
                "status": each.status.value,
                **_openvex_reason(each),
            }
            for each in claims
        ],
    }


def _openvex_product(found: ClaimedProduct) -> dict[str, Any]:
    return {"@id": found.urn, **({"hashes": {"sha-256": found.sha256}} if found.sha256 else {})}


def _openvex_reason(claim: Claim) -> dict[str, str]:
    if claim.status is Status.NOT_AFFECTED:
        word = {"justification": claim.justification} if claim.justification in JUSTIFICATIONS else {}
        return {**word, "impact_statement": claim.reason or claim.justification or UNSAID}
    if claim.status is Status.AFFECTED:
        return {"action_statement": claim.action or NO_ACTION}
    return {}


def _cyclonedx(head: VexHead, claims: Sequence[Claim]) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{head.document_id}",
        "version": 1,
        "metadata": {"timestamp": time_of(head.at), "supplier": {"name": head.author}},
        "components": [
            {
                "type": "firmware",
                "bom-ref": each.urn,
                "name": each.name,
                "version": each.version,
                **({"hashes": [{"alg": "SHA-256", "content": each.sha256}]} if each.sha256 else {}),
            }
            for each in _products(claims)
        ],
        "vulnerabilities": [
            {
                "bom-ref": f"{number}",
                "id": each.names[0],
                "references": [{"id": name, "source": {"name": _source(name)}} for name in each.names[1:]],
                "description": each.summary or each.names[0],
                "updated": time_of(head.at),
                "analysis": _cyclonedx_analysis(each),
                "affects": [{"ref": one.urn} for one in each.products],
            }
            for number, each in enumerate(claims, 1)
        ],
    }


def _cyclonedx_analysis(claim: Claim) -> dict[str, Any]:
    said = claim.action or NO_ACTION if claim.status is Status.AFFECTED else claim.reason
    return {
        "state": _STATES[claim.status],
        **({"response": ["update"]} if claim.status is Status.AFFECTED and claim.action else {}),
        "detail": said or claim.justification or UNSAID,
    }


def _source(name: str) -> str:
    return "NVD" if name.startswith("CVE-") else "OSV"


def _csaf(head: VexHead, claims: Sequence[Claim]) -> dict[str, Any]:
    at = time_of(head.at)
    return {
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "lang": "en",
            "publisher": {"category": "vendor", "name": head.author, "namespace": head.namespace},
            "title": head.title,
            "tracking": {
                "id": str(head.document_id),
                "status": "final",
                "version": "1",
                "initial_release_date": at,
                "current_release_date": at,
                "revision_history": [{"number": "1", "date": at, "summary": "First version."}],
            },
        },
        "product_tree": {"full_product_names": [_csaf_product(each) for each in _products(claims)]},
        "vulnerabilities": [_csaf_vulnerability(each) for each in _by_vulnerability(claims)],
    }


def _csaf_product(found: ClaimedProduct) -> dict[str, Any]:
    named: dict[str, Any] = {"product_id": found.urn, "name": f"{found.name} {found.version}".strip()}
    # The readers know a product by its names: CSAF has a place for a URI as for a hash of its file.
    helper: dict[str, Any] = {"x_generic_uris": [{"namespace": "urn:ietf:rfc:9562", "uri": found.urn}]}
    if found.sha256:
        hashes = [{"algorithm": "sha256", "value": found.sha256}]
        helper["hashes"] = [{"file_hashes": hashes, "filename": str(found.product_id)}]
    return {**named, "product_identification_helper": helper}


def _csaf_vulnerability(claims: Sequence[Claim]) -> dict[str, Any]:
    first = claims[0]
    cve = next((name for name in first.names if name.startswith("CVE-")), None)
    status: dict[str, list[str]] = {}
    remedies: list[dict[str, Any]] = []
    threats: list[dict[str, Any]] = []
    for each in claims:
        ids = [one.urn for one in each.products]
        status.setdefault(_CSAF[each.status], []).extend(ids)
        if each.status is Status.AFFECTED:
            kind = "vendor_fix" if each.action else "none_available"
            remedies.append({"category": kind, "details": each.action or NO_ACTION, "product_ids": ids})
        elif each.status is Status.NOT_AFFECTED:
            why = each.reason or each.justification or UNSAID
            threats.append({"category": "impact", "details": why, "product_ids": ids})
    return {
        **({} if cve is None else {"cve": cve}),
        "ids": [{"system_name": _source(name), "text": name} for name in first.names if name != cve]
        or [{"system_name": _source(first.names[0]), "text": first.names[0]}],
        "notes": [{"category": "description", "text": first.summary or first.names[0]}],
        "product_status": status,
        **({"remediations": remedies} if remedies else {}),
        **({"threats": threats} if threats else {}),
    }


def _products(claims: Iterable[Claim]) -> list[ClaimedProduct]:
    """Every product once, in the order in which they come first."""
    return list(dict.fromkeys(one for each in claims for one in each.products))


def _by_vulnerability(claims: Iterable[Claim]) -> list[list[Claim]]:
    found: dict[tuple[str, ...], list[Claim]] = {}
    for each in claims:
        found.setdefault(each.names, []).append(each)
    return list(found.values())
