# SPDX-License-Identifier: Apache-2.0
"""The form of a segment with who is in it now: what it offers is asked here, and what was sent is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from armillary.console.authored.catalog_choice import ALL, catalog_field, with_catalog
from armillary.console.authored.rule_builder import CHOICES, owners, template_values
from armillary.console.authored.segment_form import body_of, fields_of, form_view, rows_of, with_rows
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.sheet import Sheet, device, place
from armillary.console.frame.words import counted, slug
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError, NotFoundError

DRAWN_BY: Final = "segment_builder.html"
# Members that are counted, and those that are named.
COUNTED: Final = 1000
NAMED: Final = 10
_BLANK: Final = {"field": "", "op": "eq", "value": ""}


def builder(visit: Visit, document: Mapping[str, Any], fields: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The form as its template draws it; of what is kept where no ``fields`` are given."""
    is_new, body = not document["etag"], document["body"]
    values = template_values(visit, str((fields or body).get("template") or ""))
    if fields is None:
        fields = with_rows({"match": "all"}, [_BLANK]) if is_new else fields_of(body, values)
    if fields is None:
        return {"drawn_by": DRAWN_BY, "is_json_only": True}
    chosen = {"catalog": fields["catalog"]} if fields.get("catalog") else body
    templates = ask(visit, "list_templates", limit=CHOICES)["items"]
    return {
        "drawn_by": DRAWN_BY,
        "is_json_only": False,
        "is_new": is_new,
        "post": place("group", "new" if is_new else document["id"], "form"),
        "etag": fields.get("etag", document["etag"]),
        "members": _members(visit, fields, values),
        **form_view(
            fields,
            values,
            [(each["name"], str(each.get("display_name") or each["name"])) for each in templates],
            catalog_field(chosen, owners(visit), is_new=is_new),
        ),
    }


def sent(visit: Visit, document: Mapping[str, Any], form: Form) -> Response:
    """Do what a button of the form says: add or remove a row, show who is in it, or keep it.

    Raises:
        NotFoundError: there is no such button.
    """
    what, _, which = form.get("do", "save").partition(":")
    fields = {name: value for name, value in form.items() if name != "do"}
    is_new = not document["etag"]
    if what == "add":
        return _page(visit, document, with_rows(fields, [*rows_of(fields), _BLANK]))
    if what == "remove":
        return _page(
            visit, document, with_rows(fields, [row for at, row in enumerate(rows_of(fields)) if str(at) != which])
        )
    if what == "show":
        return _page(visit, document, with_rows(fields, rows_of(fields)))
    if what != "save":
        raise NotFoundError(f"the form has no button {what[:40]!r}", remedy=f"Use the buttons on {visit.here}.")
    try:
        body = body_of(fields, template_values(visit, fields.get("template", "")))
        kept = {"catalog": document["body"]["catalog"]} if document["body"].get("catalog") else {}
        body = with_catalog({**kept, **body}, form, is_new=is_new)
        segment_id, etag = document["id"], form.get("etag", "")
        if is_new:
            taken = frozenset(each["id"] for each in ask(visit, "list_groups", limit=CHOICES)["items"])
            segment_id, etag = slug(body["name"] or "segment", taken), ""
        visit.sources.application.keep("group", segment_id, body, etag)
    except InvalidArgumentError as error:
        return _page(visit, document, with_rows(fields, rows_of(fields)), error)
    return done(place("group", segment_id), "created" if is_new else "kept")


def _page(
    visit: Visit, document: Mapping[str, Any], fields: Mapping[str, str], error: InvalidArgumentError | None = None
) -> Response:
    said = say("{message}. {remedy} Nothing was changed.", message=error.message, remedy=error.remedy) if error else ""
    made = Sheet(
        place=say("Segments"),
        crumbs=((say("Segments"), "/groups"),),
        title=say("New segment") if not document["etag"] else say("Change {name}", name=document["body"]["name"]),
        notices=(("bad", said),) if said else (),
        rule_form=builder(visit, document, fields),
    )
    return show(visit, made, 400 if said else 200)


def _members(visit: Visit, fields: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """How many devices the form's query has now, and the first of them; or why that cannot be said yet."""
    try:
        body = {**body_of(fields, values), "name": fields.get("name", "").strip() or "new"}
        catalog = fields.get("catalog", "")
        if catalog not in ("", ALL):
            body["catalog"] = catalog
        found = ask(visit, "preview_group", body=body, limit=COUNTED)
    except InvalidArgumentError as error:
        return {"sentence": f"{error.message}.", "lines": (), "is_wrong": True}
    items = found["items"]
    named = items[:NAMED]
    labels = visit.sources.application.labels([each["device_id"] for each in named])
    devices = counted(len(items), "device")
    if found["next"]:
        devices = say("{devices} or more", devices=devices)
    return {
        "sentence": say("{devices} in it now.", devices=devices) if items else say("No devices match now."),
        "lines": [device(each["device_id"], labels) for each in named],
        "rest": len(items) - len(named),
        "is_wrong": False,
    }
