# SPDX-License-Identifier: Apache-2.0
"""Saved views and the choice of columns, changed."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from armillary.console.frame.action_checks import Form, confirmed
from armillary.console.frame.asking import ask
from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done, local_path
from armillary.console.frame.table_bar import COLUMNS, NO_OTHER, address, lasting
from armillary.console.language.say import say

# Columns of one table: no table of the console has so many.
MAX_COLUMNS = 40


def choose_columns(visit: Visit, form: Form) -> Response:
    """Show the columns that were ticked, and remember them; all of them are remembered as nothing."""
    here = local_path(form.get("here", ""))
    path = here.partition("?")[0]
    known = [each for each in form.get("known", "").split(",") if each][:MAX_COLUMNS]
    ticked = [each for each in known if f"column_{each}" in form]
    shown = None if ticked == known else ",".join(ticked) or NO_OTHER
    ask(visit, "choose_columns", place=path, shown=shown)
    kept = [each for each in lasting(here) if each[0] != COLUMNS]
    return RedirectResponse(address(path, [*kept, (COLUMNS, shown)] if shown else kept), 303)


def save_view(visit: Visit, form: Form) -> Response:
    """Save the table as it is, under a name."""
    here = local_path(form.get("here", ""))
    path, query = here.partition("?")[0], urlencode(lasting(here))
    ask(visit, "save_view", place=path, name=form.get("name", "").strip(), query=query)
    return done(address(path, lasting(here)), "view-saved")


def rename_view(visit: Visit, form: Form) -> Response:
    """Give a view another name."""
    kept = ask(visit, "rename_view", view_id=visit.params["view_id"], name=form.get("name", "").strip())
    return done(_place(kept), "view-renamed")


def delete_question(visit: Visit) -> Confirmation:
    """What deleting a view does."""
    kept = ask(visit, "show_view", view_id=visit.params["view_id"])
    return Confirmation(
        title=say("Delete the view {name}?", name=kept["name"]),
        touches=touching(
            say("The view {name} of {place}, which is yours alone.", name=kept["name"], place=kept["place"]),
            say("It is no longer shown above the table."),
            say("What the table lists, and views of other people."),
            say("Cannot be undone; save it again with the same filters."),
        ),
        label=say("Delete"),
        danger=True,
        post=f"/table-views/{kept['view_id']}/delete",
        back=_place(kept),
    )


def delete_view(visit: Visit, form: Form) -> Response:
    """Delete a view."""
    confirmed(delete_question(visit), form)
    kept = ask(visit, "delete_view", view_id=visit.params["view_id"])
    return done(kept["place"], "view-deleted")


def _place(kept: dict[str, str]) -> str:
    return f"{kept['place']}?{kept['query']}" if kept["query"] else kept["place"]
