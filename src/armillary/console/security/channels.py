# SPDX-License-Identifier: Apache-2.0
"""Notification channels, read and changed: as the API does it, under the operator's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from armillary.console.frame.action_checks import Form, confirmed, verb_of
from armillary.console.frame.asking import ask, catalogs, may, sent_catalog, show
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.security import pages_channels, pages_notifications
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

# Events that were given up which the page has.
GIVEN_UP = 50


def channels(visit: Visit) -> Response:
    """All channels."""
    items, overview = ask(visit, "list_channels")["items"], ask(visit, "notification_overview")
    allowed = {"may_make": may(visit, "make_channel"), "may_test": may(visit, "test_channel")}
    return show(visit, pages_channels.list_sheet(items, overview, **allowed, now=visit.now))


def channel(visit: Visit) -> Response:
    """One channel."""
    return _page(visit, None)


def new_channel(visit: Visit) -> Response:
    """The form of a channel."""
    return _new_page(visit, visit.query.get("kind", ""), {}, None)


def make(visit: Visit, form: Form) -> Response:
    """Make a channel."""
    kind, catalog = form.get("kind", ""), sent_catalog(visit, form)
    if kind not in pages_channels.KINDS:
        raise NotFoundError(f"there are no channels of the kind {kind!r:.40}", remedy="Use the links of the page.")
    said = {
        "name": form.get("name", "").strip(),
        "kind": kind,
        "options": pages_channels.options_of(kind, form),
        "secret": form.get("secret", "") or None,
        "topics": pages_notifications.topics_of(form),
        "min_severity": form.get("min_severity", ""),
    }
    try:
        made = ask(visit, "make_channel", catalog=catalog, said=said)
    except (ConflictError, InvalidArgumentError) as error:
        return _new_page(visit, kind, form, wrong_of(error))
    return done(pages_channels.place(made["channel_id"]), "channel-made")


def of_verb(visit: Visit) -> str:
    """The change that an address asks for; one that there is not is asked for as the gravest."""
    return pages_channels.CHANGES.get(visit.params["verb"], "drop_channel")


def question(visit: Visit) -> Confirmation:
    """What deleting a channel does."""
    verb_of(visit, ("delete",), "channels", "channel's page")
    return pages_channels.delete_confirmation(ask(visit, "show_channel", channel_id=visit.params["channel_id"]))


def change(visit: Visit, form: Form) -> Response:
    """Send a test, send again what was given up, change what a channel is told, or delete it."""
    channel_id = visit.params["channel_id"]
    match verb_of(visit, pages_channels.CHANGES, "channels", "channel's page"):
        case "test":
            return _page(visit, ask(visit, "test_channel", channel_id=channel_id))
        case "retry":
            ask(visit, "retry_channel", channel_id=channel_id)
            return done(pages_channels.place(channel_id), "channel-retried")
        case "choose":
            return _choose(visit, channel_id, form)
        case _:
            confirmed(question(visit), form)
            ask(visit, "drop_channel", channel_id=channel_id)
            return done(pages_channels.LIST, "channel-deleted")


def _choose(visit: Visit, channel_id: str, form: Form) -> Response:
    try:
        ask(visit, "choose_channel", channel_id=channel_id, given=pages_notifications.choice_of(form))
    except InvalidArgumentError as error:
        return _page(visit, None, wrong_of(error))
    return done(pages_channels.place(channel_id), "channel-chosen")


def _page(visit: Visit, came_back: Mapping[str, Any] | None, wrong: Wrong | None = None) -> Response:
    found = ask(visit, "show_channel", channel_id=visit.params["channel_id"])
    given_up = ask(visit, "given_up_events", channel_id=found["channel_id"], limit=GIVEN_UP)["items"]
    allowed = {verb: may(visit, change) for verb, change in pages_channels.CHANGES.items()}
    made = pages_channels.channel_sheet(found, given_up, may=allowed, came_back=came_back, wrong=wrong, now=visit.now)
    return show(visit, made, 400 if wrong else 200)


def _new_page(visit: Visit, kind: str, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    known = kind if kind in pages_channels.KINDS else next(iter(pages_channels.KINDS))
    whole = visit.operator.catalog is None
    return show(
        visit, pages_channels.new_sheet(known, catalogs(visit), sent, wrong, whole=whole), 400 if wrong else 200
    )
