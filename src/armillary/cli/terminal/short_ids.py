# SPDX-License-Identifier: Apache-2.0
"""Resolves ids of 128 bits (RFC 9562) of which a person wrote the first digits: of images and roll-outs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from armillary.errors import InvalidArgumentError, NotFoundError

_WHOLE: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# Four digits or more: fewer are a slip.
_BEGINNING: Final = re.compile(r"[0-9A-Fa-f]{4}[0-9A-Fa-f-]{0,32}")
# Things that an error lists where one was meant.
_LISTED: Final = 8

# Ids with what people call them.
Listed = Callable[[], Iterable[tuple[str, str]]]


def resolve_ids(texts: Sequence[str], listed: Listed, noun: str) -> list[str]:
    """The ids that ``texts`` mean among those of ``listed``, which is asked only where one is a beginning.

    Whole ids, and what can be the beginning of none, are left for the service to judge. ``noun`` is what they are of,
    and the command that lists them.

    Raises:
        NotFoundError: no id begins so.
        InvalidArgumentError: several do.
    """
    beginnings = {each for each in texts if _BEGINNING.fullmatch(each) and not _WHOLE.fullmatch(each)}
    if not beginnings:
        return list(texts)
    known = list(listed())
    return [_meant(known, each, noun) if each in beginnings else each for each in texts]


def _meant(known: Sequence[tuple[str, str]], text: str, noun: str) -> str:
    found = [each for each in known if each[0].lower().startswith(text.lower())]
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise NotFoundError(
            f"there is no {noun} whose id begins with {text!a}", remedy=f"List them: armillary {noun} list."
        )
    several = ", ".join(f"{each} ({name})" for each, name in found[:_LISTED])
    more = ", ..." if len(found) > _LISTED else ""
    raise InvalidArgumentError(
        f"{text!a} is the beginning of {len(found)} ids: {several}{more}", remedy="Give more digits of one."
    )
