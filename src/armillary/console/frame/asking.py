# SPDX-License-Identifier: Apache-2.0
"""What pages share: asking the sources and the role, showing a sheet or a question, finding a device by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.sheet import Sheet
from armillary.console.frame.sort import sorted_sheet
from armillary.console.sources.permissions import may_ask
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS

# Devices that are listed where one was meant.
LISTED = 8


def show(visit: Visit, made: Sheet, status: int = 200) -> Response:
    """A sheet in its frame."""
    return visit.page("sheet.html", status=status, view=sorted_sheet(made, visit.here))


def confirm(visit: Visit, asked: Confirmation, notice: str = "") -> Response:
    """The page that asks before something is done; ``notice`` says why it asks again."""
    return visit.page("confirm.html", status=409 if notice else 200, view=asked, notice=notice)


def asks(question: Callable[[Visit], Confirmation]) -> Callable[[Visit], Response]:
    """The page that asks what ``question`` says; the action asks it again, so that both mean the same."""
    return lambda visit: confirm(visit, question(visit))


def ask(visit: Visit, question: str, **arguments: Any) -> dict[str, Any]:
    """The answer to a question (``sources/answers_*.py``)."""
    return visit.sources.application.ask(question, **arguments)


def may(visit: Visit, question: str, document: Mapping[str, Any] | None = None) -> bool:
    """Whether the operator may ask or change something (``permissions.ROUTES_OF``), and change a document of it.

    Documents of all catalogs are only seen by one of a catalog.
    """
    is_theirs = document is None or visit.operator.catalog is None or document.get("catalog") is not None
    return is_theirs and may_ask(visit.operator, question)


def catalogs(visit: Visit) -> list[str]:
    """Names of the catalogs that the operator speaks for."""
    return [str(each["name"]) for each in visit.sources.settings.catalog_names()]


def sent_catalog(visit: Visit, form: Mapping[str, str]) -> str | None:
    """The catalog that a form was sent for; None for all. NotFoundError if the operator does not speak for it."""
    catalog = form.get("catalog", "") or None
    if catalog not in (None, *catalogs(visit)):
        raise NotFoundError(f"catalog {catalog!r:.60} does not exist", remedy="Choose one of the list.")
    return catalog


def meant(visit: Visit, text: str) -> str:
    """The id of the device that a name, an id, or the first digits of one mean.

    Raises:
        NotFoundError: none.
        InvalidArgumentError: nothing was typed, or several are meant; they are listed.
    """
    asked = text.strip()[:MAX_NAME_CHARACTERS]
    if not asked:
        raise InvalidArgumentError("no device was named", remedy="Type its name, its id, or the first digits of it.")
    found = ask(visit, "find_device", text=asked)["items"]
    if not found:
        raise NotFoundError(
            f"no device is called {asked!r}, and no id begins so",
            remedy="Type its name as it stands, its id, or four or more first digits of it.",
        )
    if len(found) > 1:
        listed = ", ".join(f"{each['name']} ({each['device_id'][:12]})" for each in found[:LISTED])
        raise InvalidArgumentError(
            f"{asked!r} means {len(found)} devices: {listed}", remedy="Type the id of one, or its first digits."
        )
    return str(found[0]["device_id"])
