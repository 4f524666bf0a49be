# SPDX-License-Identifier: Apache-2.0
"""The builder of a rule: its form with rows that are added and taken away, tried on the past before it is kept.

Every button of the form sends all of it. Only "Create" and "Save" keep a rule; the others show the form again with what
was typed, so that it works without script as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from armillary.console.authored import pages_rules
from armillary.console.authored.catalog_choice import ALL, catalog_field, with_catalog
from armillary.console.authored.pages_rule_form import Offered, form_view
from armillary.console.authored.pages_trial import chart_field
from armillary.console.authored.rule_fields import (
    GROUPS,
    OWN,
    Wrong,
    body_of,
    devices_of,
    fields_of,
    filled_rows,
    rows_of,
    with_rows,
    wrong_of,
)
from armillary.console.authored.rule_mistakes import in_words
from armillary.console.authored.rule_words import ACTION_WORDS, STRETCHES
from armillary.console.authored.trial import chart_of
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, catalogs, may, meant, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Field
from armillary.console.frame.sheet import Sheet, place
from armillary.console.frame.words import slug
from armillary.console.language.say import say
from armillary.errors import ArmillaryError, InvalidArgumentError, NotFoundError
from armillary.twin.rule.json_form import MAX_DEVICES

# Groups, templates and jobs that a form offers.
CHOICES: Final = 1000
# Devices of the template that a form offers.
LISTED: Final = 100
# Devices that the answer of a trial names.
TRIED: Final = 50
_BEGIN: Final[Mapping[str, Mapping[str, str]]] = {
    "condition": {"name": "", "op": ">", "value": "", "clear": "", "aggregate": ""},
    "filter": {"filter": "", "filter_op": "==", "filter_value": ""},
}


def owners(visit: Visit) -> list[str]:
    """Catalogs that the operator may make documents of, and ``ALL`` for those of all."""
    return [*catalogs(visit), *([ALL] if visit.operator.catalog is None else [])]


def new_document() -> dict[str, Any]:
    """What the form of a new rule begins with."""
    return {"id": "", "etag": "", "body": {}}


def begun() -> dict[str, str]:
    """The fields of a new rule: one blank condition."""
    return with_rows({"severity": "medium", "match": "all"}, "condition", [_BEGIN["condition"]])


def builder(
    visit: Visit,
    document: Mapping[str, Any],
    fields: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
    trial: Sheet | None = None,
    drawn: Field | None = None,
) -> dict[str, Any]:
    """The form as its template draws it; of what is kept where no ``fields`` are given.

    ``drawn`` is the choice of the device whose chart the ``trial`` shows.
    """
    is_new, body = not document["id"], document["body"]
    values = template_values(visit, (fields or body.get("target", {})).get("template", ""))
    kinds = {each["name"]: each["kind"] for listed in values.values() for each in listed}
    fields = fields_of(body, kinds) if fields is None else fields
    if fields is None:
        return {"is_json_only": True}
    chosen = {"catalog": fields["catalog"]} if fields.get("catalog") else body
    owner = catalog_field(chosen, owners(visit), is_new=is_new)
    return {
        "is_json_only": False,
        "is_new": is_new,
        "post": "/rules/new" if is_new else place("rule", document["id"], "form"),
        "etag": fields.get("etag", document["etag"]),
        "trial": trial,
        "drawn": drawn,
        **form_view(fields, _offered(visit, fields, values, owner), wrong or {}),
    }


def template_values(visit: Visit, template: str) -> Mapping[str, Any]:
    """Values of a device template; nothing of one that is gone, or that the operator may not see."""
    if not template.strip():
        return {}
    with contextlib.suppress(ArmillaryError):  # the form says so when it is sent
        return ask(visit, "template_values", template_name=template.strip())
    return {}


def _offered(visit: Visit, fields: Mapping[str, str], values: Mapping[str, Any], owner: Any) -> Offered:
    template, listed = fields.get("template", "").strip(), []
    if values:
        listed = ask(visit, "template_devices", template_name=template, limit=LISTED)["items"]
    labels = visit.sources.application.labels([each["device_id"] for each in listed])
    templates = ask(visit, "list_templates", limit=CHOICES)["items"]
    kept = {kind: ask(visit, f"list_{kind}s", limit=CHOICES, after=None)["items"] for kind in ("group", "job")}
    return Offered(
        catalog=owner,
        values=values,
        templates=[(each["name"], str(each.get("display_name") or each["name"])) for each in templates],
        groups=[(each["id"], each["body"]["name"]) for each in kept["group"]],
        jobs=[(each["id"], each["body"]["name"]) for each in kept["job"]],
        channels=_channels(visit, fields),
        devices=[(each["device_id"], labels.get(each["device_id"], each["device_id"])) for each in listed],
    )


def _channels(visit: Visit, fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """Notification channels of the rule's catalog, or of any where it is of all."""
    if not may(visit, "list_channels"):
        return []
    catalog = fields.get("catalog", "") or visit.operator.catalog_name or ""
    items = ask(visit, "list_channels")["items"]
    names = {each["name"] for each in items if not catalog or catalog == ALL or each["catalog"] == catalog}
    return [(each, each) for each in sorted(names, key=str.casefold)]


def form_page(
    visit: Visit,
    document: Mapping[str, Any],
    fields: Mapping[str, str],
    wrong: Mapping[str, str] | None = None,
    *,
    error: InvalidArgumentError | None = None,
    trial: Sheet | None = None,
    drawn: Field | None = None,
) -> Response:
    """The form of a rule with what was typed, and what is wrong with it; ``trial``, ``drawn`` as of :func:`builder`."""
    said = in_words(wrong) if wrong else error.message if error else ""
    made = Sheet(
        place=say("Rules"),
        crumbs=((say("Rules"), "/rules"),),
        title=say("New rule") if not document["id"] else say("Change {name}", name=document["body"]["name"]),
        detail=""
        if may(visit, "rule")
        else say("Your role, {role}, may look at rules and not create them.", role=visit.operator.role),
        notices=(("bad", say("{said}. Correct it below. Nothing was changed.", said=said)),) if said else (),
        rule_form=builder(visit, document, fields, wrong, trial, drawn) if may(visit, "rule") else None,
    )
    return show(visit, made, 400 if said else 200)


def sent(visit: Visit, document: Mapping[str, Any], form: Form) -> Response:
    """Do what a button of the form says: add or remove a row, try the rule, or keep it.

    Raises:
        NotFoundError: there is no such button.
    """
    what, _, which = form.get("do", "save").partition(":")
    fields = {name: value for name, value in form.items() if name != "do"}
    if what not in ("save", "try"):
        return form_page(visit, document, _with_row(visit, what, which, fields))
    fields = filled_rows(fields)
    values = template_values(visit, fields.get("template", ""))
    kinds = {each["name"]: each["kind"] for listed in values.values() for each in listed}
    body, wrong = body_of(fields, kinds)
    _resolve_devices(visit, document, body, fields, wrong)
    is_new = not document["id"]
    try:
        body = with_catalog({**_unshown(document), **body}, form, is_new=is_new)
        if not wrong:
            return _tried(visit, document, fields, body) if what == "try" else _kept(visit, document, fields, body)
    except InvalidArgumentError as error:
        found = wrong_of(error, fields)
        return form_page(visit, document, fields, {**found, **wrong}, error=error)
    return form_page(visit, document, fields, wrong)


def _unshown(document: Mapping[str, Any]) -> dict[str, Any]:
    """Members of a rule that are no fields of the form."""
    return {name: document["body"][name] for name in ("enabled", "catalog") if name in document["body"]}


def _with_row(visit: Visit, what: str, which: str, fields: dict[str, str]) -> dict[str, str]:
    """Fields with a row more or less, or a device more."""
    group, _, number = which.partition(".")
    if what == "show":
        return _shown(fields)
    if what == "add-device":
        chosen = fields.pop("add_device", "")
        lines = devices_of(fields)
        return fields | {"devices": "\n".join([*lines, *([chosen] if chosen and chosen not in lines else [])])}
    if group in GROUPS and what in ("add", "remove"):
        rows = rows_of(fields, group)
        if what == "add" and len(rows) < GROUPS[group][1]:
            kind = fields.get("add_action", "")
            rows.append(dict(_BEGIN[group]) if group in _BEGIN else {"kind": kind if kind in ACTION_WORDS else "email"})
        if what == "remove":
            rows = [each for at, each in enumerate(rows) if str(at) != number]
        return with_rows(fields, group, rows)
    raise NotFoundError(f"the form has no button {what[:40]!r}", remedy=f"Use the buttons on {visit.here}.")


def _shown(fields: Mapping[str, str]) -> dict[str, str]:
    """Fields as they are shown again after another template, value or comparison was chosen."""
    made = dict(fields)
    for group in ("condition", "filter"):
        rows = rows_of(made, group)
        own = "own" if group == "condition" else "filter_own"
        name = "name" if group == "condition" else "filter"
        for at, row in enumerate(rows):
            if fields.get(f"{name}_{at}") == OWN and not fields.get(f"{own}_{at}", "").strip():
                row[name] = OWN  # the field beside it is shown, to be typed in
        made = with_rows(made, group, rows)
    return made


def _resolve_devices(
    visit: Visit, document: Mapping[str, Any], body: dict[str, Any], fields: dict[str, str], wrong: Wrong
) -> None:
    """Put ids in the place of devices' names; those that the rule has already stay, whether they are there or not."""
    typed = devices_of(fields)
    if not typed or len(typed) > MAX_DEVICES:
        return
    known = frozenset(document["body"].get("target", {}).get("devices", ()))
    try:
        ids = [each if each in known else meant(visit, each) for each in typed]
    except (InvalidArgumentError, NotFoundError) as error:
        wrong.setdefault("devices", f"{error.message[:1].upper()}{error.message[1:]}.")
        return
    body["target"]["devices"] = list(dict.fromkeys(ids))
    fields["devices"] = "\n".join(body["target"]["devices"])


def _kept(visit: Visit, document: Mapping[str, Any], fields: Mapping[str, str], body: dict[str, Any]) -> Response:
    is_new = not document["id"]
    rule_id, etag = document["id"], fields.get("etag", "")
    if is_new:
        taken = frozenset(each["id"] for each in ask(visit, "list_rules", limit=CHOICES)["items"])
        rule_id, etag = slug(body["name"] or "rule", taken), ""
    visit.sources.application.keep("rule", rule_id, body, etag)
    return done(place("rule", rule_id), "created" if is_new else "kept")


def _tried(visit: Visit, document: Mapping[str, Any], fields: Mapping[str, str], body: dict[str, Any]) -> Response:
    """The form, with when the rule that it says would have fired."""
    seconds, stretch = STRETCHES.get(fields.get("stretch", ""), STRETCHES["day"])
    end_ms = (visit.now + 1) * 1000
    trial = ask(visit, "try_new_rule", rule=body, start_ms=end_ms - seconds * 1000, end_ms=end_ms)
    labels = visit.sources.application.labels([each["device_id"] for each in trial["devices"]][:TRIED])
    drawn, chart = chart_of(visit, body, trial, labels, fields.get("chart_of", ""))
    tried = pages_rules.trial_sheet({"id": "", "body": body}, trial, labels, stretch, chart=chart)
    return form_page(visit, document, fields, trial=tried, drawn=chart_field(trial, labels, drawn))
