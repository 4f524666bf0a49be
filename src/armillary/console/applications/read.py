# SPDX-License-Identifier: Apache-2.0
"""The gallery and its applications, read; one is used."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from armillary.console.applications import pages_applications as pages
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, catalogs, may, sent_catalog
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.frame.sheet import place
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError


def gallery(visit: Visit) -> Response:
    """All applications."""
    items = ask(visit, "list_application_templates")["items"]
    cards = [pages.card(each, ask(visit, "application_contents", name=each["name"])) for each in items]
    view = pages.gallery(cards, may_use=may(visit, "use_application_template"))
    return visit.page("applications.html", view=view)


def application(visit: Visit) -> Response:
    """One application."""
    return _page(visit)


def use(visit: Visit, form: Form) -> Response:
    """Make an application of a template, and lead to its dashboard."""
    try:
        into = sent_catalog(visit, {"catalog": form.get("into", "")})
        made = ask(visit, "use_application_template", name=visit.params["name"], into=into)
    except (ConflictError, InvalidArgumentError, NotFoundError) as error:
        return _page(visit, form, wrong_of(error))
    return done(place("dashboard", _main(visit, made)), "application-used")


def _main(visit: Visit, made: Mapping[str, Any]) -> str:
    """The dashboard that is drawn in the gallery."""
    found = ask(visit, "application_contents", name=made["name"])["dashboards"]
    return str(found[0]["id"])


def _page(visit: Visit, sent: Mapping[str, str] = MappingProxyType({}), wrong: Wrong | None = None) -> Response:
    name = visit.params["name"]
    items = {each["name"]: each for each in ask(visit, "list_application_templates")["items"]}
    if name not in items:
        raise NotFoundError(f"there is no application {name[:64]!r}", remedy="Choose one of the gallery.")
    contents = ask(visit, "application_contents", name=name)
    view = pages.page(
        pages.card(items[name], contents),
        contents,
        catalogs(visit),
        in_catalog=items[name].get("catalog", ""),
        may_use=may(visit, "use_application_template"),
        wrong=wrong,
        sent=sent,
    )
    return visit.page("application.html", status=400 if wrong else 200, view=view)
