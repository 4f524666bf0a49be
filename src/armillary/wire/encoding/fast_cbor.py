# SPDX-License-Identifier: Apache-2.0
"""CBOR by cbor2, told to refuse what the profile in ``cbor.py`` does not have; the calls are ``plain_cbor.py``'s."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import cbor2
from cbor2 import CBORError

__all__ = ["CBORError", "dumps", "loads"]

dumps = cbor2.dumps


class _RefusedTagError(ValueError):
    """Raised inside cbor2 when it meets a tag; ``cbor.py`` takes it as any other error of these bytes."""


def _refuse_tag(*_: object) -> NoReturn:
    raise _RefusedTagError


# cbor2 turns these tags into Python objects (dates, regular expressions, sets, shared references) before we
# see them; refuse them where they stand. Tags it does not know reach ``tag_hook``.
_REFUSED_TAGS: Final[dict[int, Any]] = dict.fromkeys(
    (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)


def loads(data: bytes, *, max_depth: int) -> Any:
    """The value at the beginning of ``data``, nested ``max_depth`` levels at most.

    Raises:
        CBORError, ValueError, TypeError, OverflowError, RecursionError: these bytes are not a value of the profile.
            cbor2 wraps what our hook raises or lets it through, depending on the tag.
    """
    return cbor2.loads(
        data,
        tag_hook=_refuse_tag,
        semantic_decoders=_REFUSED_TAGS,
        max_depth=max_depth - 1,  # cbor2 counts from 0
        allow_indefinite=False,
        allow_duplicate_keys=False,
    )
