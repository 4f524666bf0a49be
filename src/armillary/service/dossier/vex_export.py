# SPDX-License-Identifier: Apache-2.0
"""VEX documents of a catalog, or of all: what our own states say of its images and of releases."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.advisories.advisories import Advisories
from armillary.service.cases import scope as scopes
from armillary.service.cases.scope import Scope
from armillary.service.context.context import Context
from armillary.service.dossier import vex
from armillary.service.registry.names import catalog_or_raise
from armillary.wire.advisory.vex_writing import FORMATS, write

# Advisories of one document, the most urgent first.
MAX_ADVISORIES: Final = 500


def export(
    context: Context, advisories: Advisories, form: str, catalog: str | None, advisory: str | None = None
) -> dict[str, Any]:
    """The document, about one advisory or about all that affect an image or a release.

    Raises:
        InvalidArgumentError: another format.
        NotFoundError: no such catalog or advisory.
        ConflictError: there is nothing to say, so that there is no document: VEX has none without statements.
    """
    if form not in FORMATS:
        raise InvalidArgumentError(
            f"format: expected {', '.join(FORMATS)}, got {form!a:.40}", remedy="Use one of these words."
        )

    def query(connection: Connection) -> Scope:
        catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
        return scopes.read(connection, catalog_id, None)

    scope = context.records.read(query)
    names = [advisory] if advisory is not None else _names(advisories, catalog)
    shown = [advisories.answers.show(each, catalog) for each in names]
    claims = vex.claims_of(shown)
    if not claims:
        raise ConflictError(
            "no advisory affects an image or release: there is no statement to write",
            remedy="See what that is worth: armillary advisory coverage.",
        )
    return write(form, vex.head_of(scope, context.now()), claims)


def _names(advisories: Advisories, catalog: str | None) -> list[str]:
    rows, _ = advisories.answers.page(catalog, limit=MAX_ADVISORIES)
    return [each["advisory_id"] for each in rows]
