# SPDX-License-Identifier: Apache-2.0
"""What routes of authors' documents (groups, jobs, exports) share: their parameters, and who asks.

What is done is in ``platform/authored/documents.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from armillary.api.http.routes import actor_of, platform_of
from armillary.api.http.scope import CheckedCatalog
from armillary.engines.documents.document import Document
from armillary.platform.authored.documents import PARSERS, check_catalog, document_of, is_visible
from armillary.twin.author.uses import Named

__all__ = ["PARSERS", "check_catalog", "document_of", "is_visible"]


def listed(
    request: Request, kind: str, catalog: CheckedCatalog | None, limit: int, after: str | None
) -> dict[str, Any]:
    """Documents of a kind by id."""
    return platform_of(request).authored.listed(kind, catalog, limit, after)


def visible(request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None) -> Document:
    """A document that the caller may see; raises NotFoundError for any other."""
    return platform_of(request).authored.visible(kind, document_id, catalog)


def put(
    request: Request,
    kind: str,
    document_id: str,
    body: Mapping[str, Any],
    catalog: CheckedCatalog | None,
    if_match: str | None,
) -> dict[str, Any]:
    """Keep a document."""
    return platform_of(request).authored.put(actor_of(request), kind, document_id, body, catalog, if_match)


def delete(
    request: Request,
    kind: str,
    document_id: str,
    catalog: CheckedCatalog | None,
    if_match: str | None,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Delete a document that nothing uses, or whatever uses it with ``force``."""
    documents = platform_of(request).authored
    return documents.delete(actor_of(request), kind, document_id, catalog, if_match, force=force)


def check_put(
    request: Request,
    kind: str,
    document_id: str,
    body: Mapping[str, Any],
    catalog: CheckedCatalog | None,
    if_match: str | None,
) -> str:
    """Raise what :func:`put` would, before anything else is changed; the version that the change is then of."""
    return platform_of(request).authored.check_put(kind, document_id, body, catalog, if_match)


def seen_users(request: Request, catalog: CheckedCatalog | None) -> list[Named]:
    """Documents that may use others, of those that the caller may see."""
    return platform_of(request).authored.seen_users(catalog)


def check_unused(request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None) -> None:
    """Raise ConflictError, which names them, where documents use this one."""
    platform_of(request).authored.check_unused(kind, document_id, catalog)


def check_owned(request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None) -> Document | None:
    """The document that who speaks for a catalog (None: for all) may change; None where there is none yet."""
    return platform_of(request).authored.check_owned(kind, document_id, catalog)


def check_free(
    request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None, if_match: str | None
) -> None:
    """Raise unless who speaks for a catalog (None: for all) may keep a document under an id."""
    platform_of(request).authored.check_free(kind, document_id, catalog, if_match)
