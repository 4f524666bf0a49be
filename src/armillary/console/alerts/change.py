# SPDX-License-Identifier: Apache-2.0
"""Alerts, acknowledged: one, those that were ticked, all that match. The operation writes the audit line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from armillary.console.alerts.query import check_words, query_of
from armillary.console.alerts.read import filter_of, many_question
from armillary.console.frame.action_checks import Form, asked_again, number_of
from armillary.console.frame.asking import ask, confirm
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.errors import ConflictError

# Beginning of the names of boxes that are ticked; the number of the alert follows.
TICK: Final = "alert_"


def acknowledge(visit: Visit, form: Form) -> Response:
    """Acknowledge one alert."""
    ask(visit, "acknowledge_alert", number=number_of(visit.params, "alert", "list"), note=form.get("note", ""))
    return done(_back(form), "acknowledged-alert")


def acknowledge_many(visit: Visit, form: Form) -> Response:
    """Acknowledge the alerts that were ticked, or all that match, as the page that asked said."""
    check_words(form)
    query = query_of(form)
    if "ticked" in form:
        ticked = [name.removeprefix(TICK) for name in form if name.startswith(TICK)]
        if not ticked:
            return done(_back(form), "none-ticked")
        numbers = [number_of({"number": each}, "alert", "list") for each in ticked]
        for number in numbers:  # one that is not there, or another's, is refused before any is acknowledged
            ask(visit, "show_alert", number=number)
        said = ask(visit, "acknowledge_alerts", numbers=numbers, count=None, note=form.get("note", ""))
        return _told(_back(form), said)
    asked = many_question(visit, query)
    again = asked_again(visit, asked, form)
    if again is not None:
        return again
    given = dict(asked.hidden)
    try:
        said = ask(
            visit,
            "acknowledge_alerts",
            numbers=None,
            count=int(given["count"]),
            up_to=int(given["up_to"]),
            note=form.get("reason", ""),
            **filter_of(visit, query),
        )
    except ConflictError as error:  # since the page was asked again a moment ago
        return confirm(visit, many_question(visit, query), f"{error.message}. {error.remedy}")
    return _told(query.address(), said)


def _told(back: str, said: Mapping[str, Any]) -> Response:
    """Lead back to where it says how many were acknowledged."""
    many = said["acknowledged"]
    return done(back, f"acknowledged-alerts.{many}" if many else "acknowledged-before")


def _back(form: Form) -> str:
    """The list, or the alert, that a form was sent from; else the list with the form's filters."""
    back = form.get("back", "")
    return back if back.partition("?")[0] == "/alerts" or back.startswith("/alerts/") else query_of(form).address()
