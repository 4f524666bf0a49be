# SPDX-License-Identifier: Apache-2.0
"""Dossiers, read and made, and what customers read of vulnerabilities: as the API does it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import Response

from armillary.console.evidence import pages_dossiers
from armillary.console.evidence.read_traces import kept
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, catalogs, may, sent_catalog, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.frame.sheet import LIST_LINES
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError


def dossiers(visit: Visit) -> Response:
    """Dossiers that were made."""
    return _page(visit)


def dossier(visit: Visit) -> Response:
    """One dossier: its gaps and statements."""
    found = ask(visit, "show_dossier", dossier_id=visit.params["dossier_id"])
    return show(visit, pages_dossiers.dossier_sheet(found, visit.now))


def dossier_file(visit: Visit) -> Response:
    """The file of a dossier, to be kept and verified."""
    file = ask(visit, "dossier_file", dossier_id=visit.params["dossier_id"])["file"]
    headers = {"Content-Disposition": 'attachment; filename="dossier.zip"'}
    return Response(file, media_type="application/zip", headers=headers)


def make(visit: Visit, form: Form) -> Response:
    """Make a dossier of what is held now."""
    catalog, product = sent_catalog(visit, form), form.get("product", "").strip() or None
    try:
        made = ask(visit, "make_dossier", catalog=catalog, product=product)
    except (ConflictError, InvalidArgumentError, NotFoundError) as error:
        return _page(visit, form, wrong_of(error))
    return done(pages_dossiers.place(made["dossier_id"]), "dossier-made")


def vex(visit: Visit) -> Response:
    """What is known of vulnerabilities, for customers."""
    asked = visit.query.get("format", "")
    form = asked if asked in pages_dossiers.VEX_FORMATS else next(iter(pages_dossiers.VEX_FORMATS))
    return kept(ask(visit, "export_vex", form=form), f"vex-{form}")


def _page(visit: Visit, sent: Mapping[str, str] = MappingProxyType({}), wrong: Wrong | None = None) -> Response:
    after = visit.query.get("after")
    made = pages_dossiers.list_sheet(
        ask(visit, "list_dossiers", limit=LIST_LINES, after=after),
        ask(visit, "dossier_key")["verifier_key"],
        catalogs(visit),
        sent=sent,
        wrong=wrong,
        whole=visit.operator.catalog is None,
        may_make=may(visit, "make_dossier"),
        is_part=bool(after),
        now=visit.now,
    )
    return show(visit, made, 400 if wrong else 200)
