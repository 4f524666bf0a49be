# SPDX-License-Identifier: Apache-2.0
"""Messages in the frames of the application interface.

::

    request      = {"id": uint, "method": text, "parameters": object}          parameters may be left out
    answer       = {"id": uint, "result": object}                              ? "descriptors": how many came along
    error        = {"id": uint / null, "error": {"errno": uint, "name": text, "message": text,
                                                 ? "remedy": text, ? "code": text, ? "error_id": uint}}
    notification = {"event": text, "data": object, ? "lost": uint}             no answer is expected

Numbers of ``errno`` are Linux's (asm-generic/errno.h); ``name`` is the same for people and for other systems.
``error_id`` is Azure Sphere's id of the capability that is missing. An ``id`` is the application's: it comes back
with the answer. An error without an id says that the stream could not be read, and the connection is closed after it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError

MAX_ID: Final = 2**53 - 1  # what every JSON reader keeps exactly
MAX_MESSAGE_CHARACTERS: Final = 500
_METHOD: Final = re.compile(r"[a-z][a-z0-9-]{0,31}(?:\.[a-z][a-z0-9-]{0,31}){0,2}", re.ASCII)
_FIELDS: Final = frozenset({"id", "method", "parameters"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an application asks for."""

    id: int
    method: str
    parameters: Mapping[str, Any]


def read_request(message: Mapping[str, Any]) -> Request:
    """The request in a frame; WireError for anything else."""
    number, method, parameters = message.get("id"), message.get("method"), message.get("parameters", {})
    if type(number) is not int or not 0 <= number <= MAX_ID:
        raise WireError("request id", expected=f"an integer of 0 to {MAX_ID}", got=f"{number!r:.40}")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise WireError("request method", expected="a name such as storage.usage", got=f"{method!r:.40}")
    if not isinstance(parameters, dict):
        raise WireError("request parameters", expected="a JSON object", got=f"{parameters!r:.40}")
    unknown = sorted(set(message) - _FIELDS)
    if unknown:
        raise WireError("request", expected="id, method and parameters", got=f"{unknown!a:.80} as well")
    return Request(id=number, method=method, parameters=parameters)


def answer(number: int, result: Mapping[str, Any], *, descriptors: int = 0) -> dict[str, Any]:
    """The message that answers a request."""
    found: dict[str, Any] = {"id": number, "result": dict(result)}
    return found | ({"descriptors": descriptors} if descriptors else {})


def refusal(
    number: int | None, code: int, message: str, *, remedy: str = "", named: str = "", error_id: int | None = None
) -> dict[str, Any]:
    """The message that says why a request was not done; ``named`` is a stable code of Armillary's errors."""
    found: dict[str, Any] = {
        "errno": code,
        "name": errno.errorcode.get(code, str(code)),
        "message": message[:MAX_MESSAGE_CHARACTERS],
    }
    found |= {key: value for key, value in (("remedy", remedy), ("code", named)) if value}
    return {"id": number, "error": found | ({} if error_id is None else {"error_id": error_id})}


def notification(event: str, data: Mapping[str, Any], *, lost: int = 0) -> dict[str, Any]:
    """The message that tells of an event; ``lost`` counts those before it that the application did not take."""
    return {"event": event, "data": dict(data)} | ({"lost": lost} if lost else {})
