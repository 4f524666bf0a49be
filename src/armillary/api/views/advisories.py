# SPDX-License-Identifier: Apache-2.0
"""Feeds, their editions and keys, and statements of operators as JSON."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import serialization

from armillary.api.http.documents import as_page

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from armillary.engines.records.schema.advisory_rows import Feed, FeedEdition, FeedKey
    from armillary.engines.records.schema.rows import Page
    from armillary.service.advisories.own_statements import Shown
    from armillary.service.assemble import SecurityService

# Stale feeds that are named; a site has a few.
NAMED_FEEDS: Final = 5


def standing(service: SecurityService) -> tuple[str, str]:
    """Whether what is said of vulnerabilities is worth something: fresh feeds, and every device taken in."""
    now, troubles = service.context.now(), []
    feeds = service.advisories.feeds()
    if not feeds:
        detail = "no feed was imported: what is vulnerable is unknown"
    else:
        oldest = min(0 if each.current is None else each.current.as_of for each in feeds)
        detail = f"{len(feeds)} feeds, the oldest as of {max(0, now - oldest) // 3600} h ago"
    if stale := [each.name for each in feeds if each.is_stale(now)]:
        troubles.append(f"stale, so that what they do not name is unknown: {', '.join(stale[:NAMED_FEEDS])}")
    taken_in = service.context.records.read(service.advisories.running.taken_in)
    if not taken_in.whole:
        troubles.append(f"of {taken_in.compared} of {taken_in.devices} devices it is known what they run")
    return ("degraded" if troubles else "ok"), ", ".join([detail, *troubles])


def feed(row: Feed, now: int) -> dict[str, Any]:
    """A feed with its edition in force."""
    return {
        "feed": row.name,
        "kind": row.kind,
        "max_age_s": row.max_age_s,
        "stale": row.is_stale(now),
        "current": None if row.current is None else edition(row.current),
    }


def edition(row: FeedEdition) -> dict[str, Any]:
    """An import of a feed; ``whole_at`` is null for one that was cut short or is running."""
    return {
        "feed": row.feed,
        "edition": row.edition,
        "source_url": row.source_url,
        "as_of": row.as_of,
        "sha256": row.sha256.hex(),
        "records": row.records,
        "refused": row.refused,
        "ecosystems": list(row.ecosystems),
        "signer": row.signer,
        "begun_at": row.begun_at,
        "whole_at": row.whole_at,
        "imported_by": row.imported_by,
    }


def key(row: FeedKey) -> dict[str, Any]:
    """A key of feeds."""
    return {
        "key_id": row.key_id,
        "name": row.name,
        "feed": row.feed,
        "added_at": row.added_at,
        "added_by": row.added_by,
        "revoked_at": row.revoked_at,
    }


def statement(shown: Shown) -> dict[str, Any]:
    """A statement; one whose signature is not the service's says null, and counts for nothing."""
    row, said = shown.row, shown.said
    return {
        "statement_id": str(row.statement_id),
        "signature": "invalid" if said is None else "valid",
        "advisory": row.vulnerability,
        "catalog_id": None if row.catalog_id is None else str(row.catalog_id),
        "subject": None if said is None else said.subject,
        "subject_id": None if said is None else str(said.subject_id),
        "component": None if said is None else said.component,
        "status": None if said is None else said.status.value,
        "justification": None if said is None else said.justification,
        "reason": None if said is None else said.reason,
        "author": None if said is None else said.author,
        "stated_at": row.stated_at,
        "made_by": row.made_by,
        "taken_back_at": row.taken_back_at,
        "taken_back_by": row.taken_back_by,
        "taken_back_reason": row.taken_back_reason,
        "sha256": sha256(row.signed).hexdigest(),
        "signed": b64encode(row.signed).decode(),
    }


def statements(page: Page[Shown], key: ec.EllipticCurvePublicKey | None) -> dict[str, Any]:
    """A page of statements, and the key by which each ``signed`` (a COSE_Sign1) is verified; null before the first."""
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {**as_page(page, statement), "public_key": None if key is None else key.public_bytes(*form).decode()}
