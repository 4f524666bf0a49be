# SPDX-License-Identifier: Apache-2.0
"""Actions and playbooks, read and changed: as the API does it, under the operator's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from armillary.console.frame.action_checks import CHANGED, Form, confirmed, verb_of
from armillary.console.frame.asking import (
    ask,
    catalogs,
    confirm,
    in_order,
    may,
    ordered_sheet,
    sent_catalog,
    show,
)
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.frame.sheet import LIST_LINES
from armillary.console.security import pages_actions
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

_REFUSED = (ConflictError, InvalidArgumentError, NotFoundError)


def actions(visit: Visit) -> Response:
    """Actions, and the playbooks that ask for some."""
    wanted, after = visit.query.get("state", ""), visit.query.get("after")
    asked = wanted if wanted in (*pages_actions.STATES, "living") else ""
    given = {"state": asked or None, "finding_id": None, "limit": LIST_LINES}
    found = in_order(visit, pages_actions.BY_SOURCE, lambda **at: ask(visit, "list_actions", **given, **at))
    made = pages_actions.list_sheet(
        found.page,
        ask(visit, "list_playbooks"),
        asked=asked,
        may_make=may(visit, "run_action"),
        may_switch=may(visit, "switch_playbook"),
        is_part=bool(after) and not found.is_sorted,
        now=visit.now,
    )
    return show(visit, ordered_sheet(made, found))


def action(visit: Visit) -> Response:
    """One action."""
    found = ask(visit, "show_action", action_id=visit.params["action_id"])
    after = visit.query.get("after")
    devices = ask(visit, "action_devices", action_id=found["action_id"], limit=LIST_LINES, after=after)
    labels = visit.sources.application.labels([each["device_id"] for each in devices["items"]])
    owners = {str(each["catalog_id"]): str(each["name"]) for each in visit.sources.settings.catalog_names()}
    made = pages_actions.action_sheet(
        found,
        devices,
        labels,
        catalog=owners.get(str(found["catalog_id"]), ""),
        may={verb: may(visit, change) for verb, change in pages_actions.CHANGES.items()},
        who=visit.operator.name,
        now=visit.now,
    )
    return show(visit, made)


def new_action(visit: Visit) -> Response:
    """The form of an action; an address may say at what it is aimed."""
    sent = {name: visit.query[name] for name in pages_actions.SENT if name in visit.query}
    return _new_page(visit, sent, None)


def preview(visit: Visit, form: Form) -> Response:
    """What an action would touch now; nothing is changed."""
    try:
        return confirm(visit, _previewed(visit, form))
    except _REFUSED as error:
        return _new_page(visit, form, wrong_of(error))


def run(visit: Visit, form: Form) -> Response:
    """Do an action, if it would still touch what its page said."""
    try:
        asked = _previewed(visit, form)
        if form.get("devices", "") != dict(asked.hidden)["devices"]:
            return confirm(visit, asked, CHANGED)
        confirmed(asked, form)
        made = ask(visit, "run_action", said=_said(visit, form))
    except _REFUSED as error:
        return _new_page(visit, form, wrong_of(error))
    return done(pages_actions.place(made["action_id"]), f"action-{made['state']}")


def of_verb(visit: Visit) -> str:
    """The change that an address asks for; one that there is not is asked for as the gravest."""
    return pages_actions.CHANGES.get(visit.params["verb"], "approve_action")


def question(visit: Visit) -> Confirmation:
    """What approving, cancelling or undoing an action does."""
    verb = verb_of(visit, pages_actions.CHANGES, "actions", "action's page")
    found = ask(visit, "show_action", action_id=visit.params["action_id"])
    return pages_actions.verb_confirmation(found, verb)


def change(visit: Visit, form: Form) -> Response:
    """Approve, cancel or undo an action."""
    asked, action_id = question(visit), visit.params["action_id"]
    confirmed(asked, form)
    match visit.params["verb"]:
        case "approve":
            made = ask(visit, "approve_action", action_id=action_id)
        case "cancel":
            made = ask(visit, "cancel_action", action_id=action_id)
        case _:
            made = ask(visit, "undo_action", action_id=action_id)
    return done(asked.back, f"action-{made['state']}")


def playbook_question(visit: Visit) -> Confirmation:
    """What using a playbook, or using it no more, does."""
    verb, name = verb_of(visit, ("enable", "disable"), "playbooks", "page of actions"), visit.params["playbook"]
    for each in ask(visit, "list_playbooks")["items"]:
        if each["name"] == name:
            return pages_actions.playbook_confirmation(each, verb)
    raise NotFoundError(f"there is no playbook {name!r:.60}", remedy="Use the links of the page of actions.")


def switch(visit: Visit, form: Form) -> Response:
    """Use a playbook, or use it no more."""
    asked = playbook_question(visit)
    confirmed(asked, form)
    ask(visit, "switch_playbook", name=visit.params["playbook"], enabled=visit.params["verb"] == "enable")
    return done(asked.back, f"playbook-{visit.params['verb']}d")


def _previewed(visit: Visit, form: Form) -> Confirmation:
    found = ask(visit, "preview_action", said=_said(visit, form))
    labels = visit.sources.application.labels(list(found["first"]))
    return pages_actions.preview_confirmation(found, form, labels)


def _said(visit: Visit, form: Form) -> dict[str, Any]:
    catalog, target = sent_catalog(visit, form), form.get("target", "")
    if target not in pages_actions.TARGETS:
        raise InvalidArgumentError(f"target: got {target!r:.40}", remedy="Choose one of the list.")
    typed = form.get("value", "").strip()
    ends = pages_actions.LIVES.get(form.get("ends", ""), 0)
    is_quarantine = form.get("kind", "") == "quarantine"
    return {
        "kind": form.get("kind", ""),
        "catalog": catalog,
        "target": {target: typed.replace(",", " ").split() if target == "devices" else typed},
        "reason": " ".join(form.get("reason", "").split()) or "from the console, no reason given",
        "options": {"ends_after_s": ends} if ends and is_quarantine else {},
    }


def _new_page(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    whole = visit.operator.catalog is None
    return show(visit, pages_actions.new_sheet(catalogs(visit), sent, wrong, whole=whole), 400 if wrong else 200)
