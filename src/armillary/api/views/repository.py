# SPDX-License-Identifier: Apache-2.0
"""What is said of the repository: its roles with their keys, and what waits for signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService
    from armillary.service.repository.ceremony import WaitingMetadata

Document = dict[str, Any]


def repository(service: SecurityService) -> Document:
    """``roles``, what waits for signatures (``waiting``), and why the last publication failed (``fault``).

    ``trust_stores`` are those that wait for the signature of ``os``.
    """
    roles = [
        {
            "role": one.role,
            "version": one.version,
            "expires_at": one.expires_at,
            "threshold": one.threshold,
            "custody": one.custody,
            "targets": one.targets,
            "keys": [{"key_id": key.key_id, "online": key.online, "public_key": key.public_key} for key in one.keys],
        }
        for one in service.ceremony.roles()
    ]
    return {
        "roles": roles,
        "waiting": [waiting(one) for one in service.ceremony.waiting()],
        "trust_stores": _waiting_stores(service),
        "fault": service.repository.fault,
    }


def _waiting_stores(service: SecurityService) -> list[Document]:
    """The trust stores that the metadata in force do not name yet, and that no device is offered therefore."""
    book = service.updates.offers.book.trust
    unnamed = service.repository.unnamed(book.images)
    return [
        {"kind": one.row.kind, "number": one.row.number}
        for one in (*book.keys, *book.roots)
        if any(image.image_id in unnamed for image in one.packages.values())
    ]


def waiting(one: WaitingMetadata) -> Document:
    """Metadata that waits for signatures, without its text."""
    return {
        "role": one.role,
        "version": one.version,
        "expires_at": one.expires_at,
        "signed_by": list(one.signed_by),
        "may_sign": list(one.may_sign),
        "missing": one.missing,
        "lacks": [{"missing": lack.missing, "key_ids": list(lack.key_ids)} for lack in one.lacks],
    }
