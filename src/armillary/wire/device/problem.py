# SPDX-License-Identifier: Apache-2.0
"""An error answer of the device endpoint: a CBOR map with text keys, readable with any CBOR tool.

``docs/reference/device-protocol.md`` has its CDDL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError
from armillary.wire.device.checkin import MAX_NAME_BYTES, MAX_WAIT_S
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_text, take_uint

MAX_PROBLEM_BYTES: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """An error answer of the device endpoint; ``retry_after_s`` only with "try later"."""

    code: str
    message: str
    remedy: str
    retry_after_s: int | None = None


def encode_problem(problem: Problem) -> bytes:
    """Encode a problem: a map with text keys, readable with any CBOR tool."""
    fields: dict[str, Any] = {"code": problem.code, "message": problem.message, "remedy": problem.remedy}
    if problem.retry_after_s is not None:
        fields["retry_after_s"] = problem.retry_after_s
    return cbor.encode(fields)


def parse_problem(data: bytes) -> Problem:
    """Parse a problem message, else raise WireError."""
    fields = cbor.decode(data, what="problem", limit=MAX_PROBLEM_BYTES)
    names = {"code", "message", "remedy"}
    if type(fields) is not dict or not names <= fields.keys() <= names | {"retry_after_s"}:
        raise WireError("problem", expected="a map of code, message, remedy and retry_after_s", got="another value")
    retry = fields.get("retry_after_s")
    return Problem(
        code=take_text(fields["code"], "problem code", limit=MAX_NAME_BYTES),
        message=take_text(fields["message"], "problem message", limit=MAX_PROBLEM_BYTES),
        remedy=take_text(fields["remedy"], "problem remedy", limit=MAX_PROBLEM_BYTES),
        retry_after_s=None if retry is None else take_uint(retry, "problem retry_after_s", limit=MAX_WAIT_S),
    )
