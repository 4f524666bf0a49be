# SPDX-License-Identifier: Apache-2.0
"""Crash dumps, read and ended, and what device groups collect: as the API does it, under the operator's name."""

from __future__ import annotations

from starlette.responses import Response

from armillary.console.frame.action_checks import Form, confirmed
from armillary.console.frame.asking import ask, in_order, may, ordered_sheet, show
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.sheet import LIST_LINES
from armillary.console.security import pages_dumps
from armillary.errors import InvalidArgumentError


def dumps(visit: Visit) -> Response:
    """Crash dumps without their contents."""
    after = visit.query.get("after")
    found = in_order(visit, pages_dumps.BY_SOURCE, lambda **at: ask(visit, "list_crash_dumps", limit=LIST_LINES, **at))
    labels = visit.sources.application.labels(sorted({each["device_id"] for each in found.page["items"]}))
    may_read, is_part = may(visit, "show_crash_dump"), bool(after) and not found.is_sorted
    made = pages_dumps.list_sheet(found.page, labels, may_read=may_read, is_part=is_part, now=visit.now)
    return show(visit, ordered_sheet(made, found))


def dump(visit: Visit) -> Response:
    """One dump; that it was read is audited."""
    found = ask(visit, "show_crash_dump", dump_id=visit.params["dump_id"])
    labels = visit.sources.application.labels([found["device_id"]])
    return show(visit, pages_dumps.dump_sheet(found, labels, visit.now))


def dump_content(visit: Visit) -> Response:
    """A dump as the device sent it, to be kept; that it was read is audited."""
    found = ask(visit, "crash_dump_content", dump_id=visit.params["dump_id"])
    headers = {"Content-Disposition": 'attachment; filename="crash-dump.cbor"'}
    return Response(found["content"], media_type="application/cbor", headers=headers)


def delete_question(visit: Visit) -> Confirmation:
    """What deleting a dump does."""
    return pages_dumps.delete_confirmation(visit.params["dump_id"])


def delete(visit: Visit, form: Form) -> Response:
    """Delete a dump."""
    confirmed(delete_question(visit), form)
    ask(visit, "drop_crash_dump", dump_id=visit.params["dump_id"])
    return done(pages_dumps.LIST, "dump-deleted")


def group(visit: Visit) -> Response:
    """What a device group collects."""
    found = ask(visit, "show_collection", **_named(visit))
    may_set = may(visit, "put_collection")
    return show(visit, pages_dumps.group_sheet(found, tuple(_named(visit).values()), may_set=may_set))


def collect(visit: Visit, form: Form) -> Response:
    """Set what a device group collects."""
    named, days = _named(visit), form.get("days", "")
    if not (days.isascii() and days.isdecimal() and 1 <= int(days[:4]) <= pages_dumps.MAX_DAYS):
        raise InvalidArgumentError(
            f"days: expected 1 to {pages_dumps.MAX_DAYS}, got {days!a:.20}", remedy="Say for how many days."
        )
    ask(
        visit,
        "put_collection",
        **named,
        is_on=form.get("is_on", "") == "on",
        stacks=form.get("stacks", ""),
        days=int(days[:4]),
    )
    return done(pages_dumps.group_place(*named.values()), "collection-set")


def erase_question(visit: Visit) -> Confirmation:
    """What erasing all dumps of a group does."""
    named = _named(visit)
    return pages_dumps.erase_confirmation(ask(visit, "show_collection", **named), tuple(named.values()))


def erase(visit: Visit, form: Form) -> Response:
    """Erase all dumps of a group with their key."""
    confirmed(erase_question(visit), form)
    named = _named(visit)
    ask(visit, "erase_collection", **named)
    return done(pages_dumps.group_place(*named.values()), "dumps-erased")


def _named(visit: Visit) -> dict[str, str]:
    params = visit.params
    return {"catalog": params["catalog"], "product": params["product"], "device_group": params["group"]}
