# SPDX-License-Identifier: Apache-2.0
"""Feedback of a controller about an action: ``POST .../deploymentBase/{action}/feedback``, ``.../cancelAction/...``.

::

    {"id": "7", "time": "20261127T180000", "timestamp": 1795802400000,           (not read: the path names the action)
     "status": {"execution": "proceeding",                                       (of EXECUTIONS)
                "result": {"finished": "none", "progress": {"cnt": 2, "of": 5}}, (of RESULTS; progress may be absent)
                "code": 200, "details": ["..."]}}                                (both may be absent)

Names that are not listed are ignored, as hawkBit ignores them. Source: Eclipse hawkBit, DDI API, "Feedback channel for
update actions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError

FORMAT: Final = "DDI feedback"
EXECUTIONS: Final = frozenset(
    {"closed", "proceeding", "canceled", "scheduled", "rejected", "resumed", "download", "downloaded"}
)
RESULTS: Final = frozenset({"success", "failure", "none"})
# hawkBit's limits: swupdate sends 48 lines of its log at once.
MAX_MESSAGES: Final = 50
MAX_MESSAGE_CHARS: Final = 512
# A body with all messages in the longest escapes, and the rest of it.
MAX_BODY_BYTES: Final = 192 << 10
# Exit codes and HTTP codes.
MAX_CODE: Final = (1 << 31) - 1
_REMEDY: Final = "Send what hawkBit's DDI API describes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a controller says of an action. Its word alone: nothing of it is attested."""

    execution: str  # Of :data:`EXECUTIONS`
    finished: str  # Of :data:`RESULTS`
    messages: tuple[str, ...] = ()  # Lines of visible characters
    code: int | None = None
    progress: str = ""  # ``2 of 5``; empty for none


def parse_feedback(document: object) -> Feedback:
    """The feedback in a decoded JSON body.

    Raises:
        WireError: it is none; the message names the field.
    """
    status = _object(document, "body").get("status")
    fields = _object(status, "status")
    result = _object(fields.get("result"), "status.result")
    return Feedback(
        execution=_word(fields.get("execution"), EXECUTIONS, "status.execution"),
        finished=_word(result.get("finished"), RESULTS, "status.result.finished"),
        messages=_messages(fields.get("details")),
        code=_number(fields.get("code"), "status.code"),
        progress=_progress(result.get("progress")),
    )


def visible(text: str) -> str:
    """Text as one line of visible characters, at most :data:`MAX_MESSAGE_CHARS`: logs and pages show it."""
    line = "".join(each if each.isprintable() else " " for each in text[:MAX_MESSAGE_CHARS])
    return line.strip()


def _object(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _fault(place, "an object", value)
    return value


def _word(value: object, words: frozenset[str], place: str) -> str:
    if not isinstance(value, str) or value not in words:
        raise _fault(place, f"one of {', '.join(sorted(words))}", value)
    return value


def _messages(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _fault("status.details", "a list of texts", value)
    if len(value) > MAX_MESSAGES:
        raise _fault("status.details", f"at most {MAX_MESSAGES} texts", len(value))
    return tuple(line for line in map(visible, value) if line)


def _number(value: object, place: str) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not -MAX_CODE <= value <= MAX_CODE:
        raise _fault(place, "a whole number of 32 bits", value)
    return value


def _progress(value: object) -> str:
    if value is None:
        return ""
    fields = _object(value, "status.result.progress")
    count, of = _number(fields.get("cnt"), "progress.cnt"), _number(fields.get("of"), "progress.of")
    if count is None:
        return ""
    return f"{count} of {of}" if of else str(count)


def _fault(place: str, expected: str, got: object) -> WireError:
    shown = "nothing" if got is None else f"{got!r:.60}"
    return WireError(FORMAT, expected=f"{expected} in {place}", got=shown, remedy=_REMEDY)
