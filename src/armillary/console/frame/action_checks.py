# SPDX-License-Identifier: Apache-2.0
"""What every action checks before it acts: the role, the word that was to be typed, the values of its form.

Pages do not offer what a role forbids, but a form can be written by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse, Response

from armillary.api.http.json_body import strict_json
from armillary.api.http.validation_words import worded
from armillary.console.frame.asking import confirm
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.language.say import say
from armillary.console.sources.permissions import refusal, route_of
from armillary.errors import InvalidArgumentError, NotFoundError

Form = Mapping[str, str]
Body = TypeVar("Body", bound=BaseModel)

MAX_REASON_CHARS = 300
CHANGED = say("This has changed since the page was opened: look again. Nothing was changed.")
# What of a form stands in the address of its page.
ADDRESSED = ("only", "what", "name")


def permit(visit: Visit, change: str) -> None:
    """Raise PermissionDeniedError unless the operator is allowed a change."""
    if (refused := refusal(visit.operator, route_of(change))) is not None:
        raise refused


def verb_of(visit: Visit, verbs: Collection[str], what: str = "", page: str = "page") -> str:
    """The verb of an address, which has to be one of ``verbs``; ``what`` has them, on its ``page``.

    Raises:
        NotFoundError: it is another.
    """
    verb = visit.params["verb"]
    if verb not in verbs:
        there = f"{what} have no action {verb!r}" if what else f"there is no action {verb[:40]!r}"
        raise NotFoundError(there, remedy=f"Use the buttons on the {page}.")
    return str(verb)


def confirmed(asked: Confirmation, form: Form) -> None:
    """Raise InvalidArgumentError unless the word that a wide action asks for was typed."""
    if asked.word and form.get("word", "").strip() != asked.word:
        raise InvalidArgumentError(
            "the word to confirm was not typed", remedy=f"Go back and type: {asked.word}. Nothing was changed."
        )


def asked_again(visit: Visit, asked: Confirmation, form: Form) -> Response | None:
    """The page that asks, where a form did not come from it as it is now; None where it may be done.

    The page's form carries what it said (``seen``). A form without it is led to the page; one whose document or users
    have changed since is asked again.
    """
    if not form.get("seen"):
        query = urlencode([each for each in asked.hidden if each[0] in ADDRESSED])
        return RedirectResponse(asked.post + (f"?{query}" if query else ""), 303)
    if form["seen"] != dict(asked.hidden)["seen"]:
        return confirm(visit, asked, CHANGED)
    confirmed(asked, form)
    return None


def reason_of(form: Form) -> str:
    """The reason that was typed for the audit log, on one line."""
    typed = "".join(each if each.isprintable() else " " for each in form.get("reason", ""))
    return typed.strip()[:MAX_REASON_CHARS] or "from the console, no reason given"


def number_of(form: Form, what: str, page: str) -> int:
    """The number of an alert or a run that a form or an address carries.

    Raises:
        NotFoundError: it carries none.
    """
    number = form.get("number", "")
    if not number.isdecimal() or len(number) > 15:
        raise NotFoundError(f"no such {what}", remedy=f"Reload the {page}.")
    return int(number)


def json_of(text: str, what: str) -> Any:
    """The JSON that was typed into a field; None for an empty one.

    Raises:
        InvalidArgumentError: it is none.
    """
    try:
        return strict_json(text.encode()) if text else None
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"{what}: expected JSON, got {text[:40]!r}", remedy='Put texts in quotation marks: "auto".'
        ) from error


def body_of(model: type[Body], values: Mapping[str, Any]) -> Body:
    """A body as the API takes it, made of a form's values.

    Raises:
        InvalidArgumentError: it does not take them; says the first fault as the API would.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name, reason = worded({**first, "loc": ("body", *first["loc"])})
        message = f"{name.replace('_', ' ').capitalize()}: {reason}"
        raise InvalidArgumentError(message, remedy="Correct it and send it again.") from error
