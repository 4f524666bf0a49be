# SPDX-License-Identifier: Apache-2.0
"""JSON bodies, read strictly: UTF-8, each name once, numbers and text as RFC 8259 and I-JSON (RFC 7493 §2) have them.

Python's decoder accepts more than that: values that could be stored and then break every answer that shows them (a lone
surrogate cannot be sent, NaN is not JSON), and bodies that mean one thing to a proxy and another to us (a name twice).

A value of two bytes becomes an object of sixty and more. So values are counted in the bytes before decoding, and a body
with too many is refused; large bodies are decoded in a thread.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope

# Values of a body: a claim of a thousand devices has a thousand, a dashboard of sixty tiles two thousand.
MAX_VALUES: Final = 20_000
# Names of one object, where a body may have so many values: a twin's patch of 32 KB has four thousand. What a route's
# model does not know is refused name by name, and in the event loop.
MAX_NAMES: Final = 5_000
# A body up to this size is decoded where it is (a millisecond), a larger one in a thread.
INLINE_BYTES: Final = 16 << 10
# Digits of a whole number: one that a double holds has no more.
MAX_DIGITS: Final = 309


class TooManyValuesError(ValueError):
    """A body has more values than are decoded."""


class StrictRequest(Request):
    """A request whose JSON body is decoded by :func:`strict_json` when FastAPI reads it."""

    def __init__(self, scope: Scope, receive: Receive, max_values: int = MAX_VALUES) -> None:
        super().__init__(scope, receive)
        self._max_values = max_values

    async def json(self) -> Any:
        """The decoded body. Raises HTTPException 400 for a fault in it, 413 for too many values."""
        body = await self.body()
        try:
            if len(body) <= INLINE_BYTES:
                return strict_json(body, max_values=self._max_values)
            return await run_in_threadpool(strict_json, body, max_values=self._max_values)
        except TooManyValuesError as error:
            raise HTTPException(413, f"body: {error}") from error
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, f"body: expected JSON in UTF-8, got {_reason(error)}") from error


def strict_json(body: bytes, *, max_values: int = MAX_VALUES) -> Any:
    """Decode a body of at most ``max_values`` values, those in arrays and objects together.

    Raises:
        TooManyValuesError: it has more, and nothing of it was decoded; or an object has more names than MAX_NAMES.
        ValueError: not UTF-8, not JSON, a name twice, a lone surrogate, NaN, Infinity or a number beyond a double.
        RecursionError: hundreds of levels.
    """
    check_values(body, max_values)
    pairs = _few_names_each_once if max_values <= MAX_VALUES else _each_name_once
    document = json.loads(
        body.decode("utf-8"),
        object_pairs_hook=pairs,
        parse_constant=_no_number,
        parse_float=_finite,
        parse_int=_few_digits,
    )
    if b"\\u" in body:  # only an escape can make a lone surrogate
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    return document


def check_values(body: bytes, max_values: int) -> None:
    """Count values in the bytes of a body, in linear time and without making any.

    Commas and opening brackets outside of strings are counted: JSON of n values has at least n - 1 of them, and at most
    two for each. For a body that is not JSON the number means nothing; the decoder refuses it.

    Raises:
        TooManyValuesError: it has more than ``max_values``.
    """
    if _marks(body) <= max_values:  # those in texts counted too: of most bodies this is all that is looked at
        return
    # The quotation marks of texts alone are left when escapes are gone, pairs of backslashes first.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    texts = plain.count(b'"') // 2
    # Every text is a value or a name, and every name has a value. What is cut below is no longer than this allows.
    if texts > 2 * max_values or sum(map(_marks, plain.split(b'"')[::2])) > max_values:
        raise TooManyValuesError(f"expected at most {max_values:,} values, got more")


def _marks(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _few_names_each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise TooManyValuesError(f"expected at most {MAX_NAMES:,} names in one object, got more")
    return _each_name_once(pairs)


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name[:40]!a} twice")
            seen.add(name)
    return document


def _no_number(text: str) -> float:
    raise ValueError(f"{text}, which is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is JSON; what it becomes is not
        raise ValueError(f"{text[:40]}, which no double holds")
    return number


def _few_digits(text: str) -> int:
    digits = len(text.removeprefix("-"))
    if digits > MAX_DIGITS:
        raise ValueError(f"a whole number of {digits:,} digits, where {MAX_DIGITS} are the most that a double holds")
    return int(text)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "hundreds of levels"
    if isinstance(error, UnicodeEncodeError):
        return "text with a lone surrogate"
    if isinstance(error, UnicodeDecodeError):
        return f"the byte {error.object[error.start]:#04x} at {error.start}"
    return str(error)[:200]
