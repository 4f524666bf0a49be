# SPDX-License-Identifier: Apache-2.0
"""JSON bodies, read strictly: UTF-8, each name once, numbers and text as RFC 8259 and I-JSON (RFC 7493 §2) have them.

Python's reader takes more than that. What it takes beyond would be stored, and then break whatever shows it (a lone
surrogate cannot be sent, NaN is no JSON), or mean one thing to a proxy that checks a body and another to us (a name
twice).
"""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request


class StrictRequest(Request):
    """A request whose JSON body is read by :func:`strict_json`; FastAPI asks it."""

    async def json(self) -> Any:
        """The decoded body.

        Raises:
            HTTPException: 400, names what is wrong.
        """
        try:
            return strict_json(await self.body())
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, f"body: expected JSON in UTF-8, got {_reason(error)}") from error


def strict_json(body: bytes) -> Any:
    """Decode a body.

    Raises:
        ValueError: not UTF-8, not JSON, a name twice, a lone surrogate, NaN, Infinity or a number beyond a double.
        RecursionError: hundreds of levels.
    """
    document = json.loads(
        body.decode("utf-8"), object_pairs_hook=_each_name_once, parse_constant=_no_number, parse_float=_finite
    )
    if b"\\u" in body:  # only an escape can make a lone surrogate
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    return document


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:40]!a} twice")
    return document


def _no_number(text: str) -> float:
    raise ValueError(f"{text}, which is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is JSON; what it becomes is not
        raise ValueError(f"{text[:40]}, which no double holds")
    return number


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "hundreds of levels"
    if isinstance(error, UnicodeEncodeError):
        return "text with a lone surrogate"
    if isinstance(error, UnicodeDecodeError):
        return f"the byte {error.object[error.start]:#04x} at {error.start}"
    return str(error)[:200]
