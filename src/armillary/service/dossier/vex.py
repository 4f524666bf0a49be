# SPDX-License-Identifier: Apache-2.0
"""What we say of vulnerabilities in our own images and releases, for customers: claims of VEX documents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

from armillary.service.cases.scope import Scope
from armillary.wire.advisory.openvex import JUSTIFICATIONS
from armillary.wire.advisory.vex import Status
from armillary.wire.advisory.vex_writing import Claim, ClaimedProduct, VexHead

_STATES: Final[Mapping[str, Status]] = {
    "affected": Status.AFFECTED,
    "under-investigation": Status.UNDER_INVESTIGATION,
    "unknown": Status.UNDER_INVESTIGATION,  # VEX has no word for what nobody knows
    "fixed": Status.FIXED,
    "not-affected": Status.NOT_AFFECTED,
}
_SPACE: Final = UUID("6f1d3c1e-5a0f-4b57-9d0e-1f6f3b0f9a12")  # of ids of VEX documents


def claims_of(advisories: Sequence[Mapping[str, Any]], only: Collection[str] | None = None) -> list[Claim]:
    """Claims about advisories, as ``service/advisories`` shows them; ``only`` images and releases of these ids."""
    return [
        claim
        for each in advisories
        for claim in _claims(each, [one for one in each["artifacts"] if only is None or one["id"] in only])
    ]


def _claims(advisory: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]]) -> list[Claim]:
    fixes = sorted(
        {version for record in advisory["records"] for found in record["fixed"].values() for version in found}
    )
    groups: dict[tuple[Status, str], list[ClaimedProduct]] = {}
    for each in artifacts:
        product = ClaimedProduct(
            product_id=UUID(each["id"]), name=each["name"], version=each["id"][:8], sha256=each.get("sha256", "")
        )
        groups.setdefault((_STATES[each["state"]], each["reason"]), []).append(product)
    found = []
    for (status, reason), products in groups.items():
        word = reason.partition(" (")[0]
        found.append(
            Claim(
                names=(advisory["advisory_id"], *advisory["aliases"]),
                summary=advisory["summary"],
                products=tuple(products),
                status=status,
                justification=word if word in JUSTIFICATIONS else "",
                reason=reason,
                action=f"Repaired in {', '.join(fixes[:5])} of the component: install the update." if fixes else "",
            )
        )
    return found


def head_of(scope: Scope, now: int) -> VexHead:
    """The head of documents about a scope: its makers are the authors."""
    makers = sorted({each.manufacturer for each in scope.products if each.manufacturer})
    contacts = sorted({each.contact for each in scope.products if each.contact.startswith("https://")})
    whose = scope.catalog or "all catalogs"
    return VexHead(
        document_id=uuid5(_SPACE, f"{whose}/{scope.product_id}/{now}"),
        author=", ".join(makers) or whose,
        namespace=contacts[0] if contacts else f"urn:uuid:{scope.catalog_id or _SPACE}",
        at=now,
        title=f"Vulnerabilities in products of {whose}",
    )
