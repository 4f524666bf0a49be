# SPDX-License-Identifier: Apache-2.0
"""Who may be the second person: somebody else than who asked, and not by a token that one of the two made.

The service knows people by the names of their tokens. Names that a person reads as the same are the same: case, width
and composition of characters do not tell people apart (Unicode NFKC). And whoever makes a token holds its secret: an
operator who makes a second token for himself, or has that one make a third, is still one person.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from armillary.errors import ConflictError


def same_person(one: str, other: str) -> bool:
    """Whether two names of operators are read as the same."""
    return _read(one) == _read(other)


def check_second_person(asked_by: str, approver: str, makers: Collection[tuple[str, str]]) -> None:
    """Raise ConflictError where the approver may be the person who asked.

    ``makers``: the name of each token, living or not, and who made it.
    """
    asked, approves = _read(asked_by), _read(approver)
    if asked == approves:
        raise ConflictError(
            f"{approver} asked for this action and cannot approve it",
            remedy="Ask a second person: beyond so many devices an action needs somebody else's word.",
        )
    made = [(_read(name), _read(maker)) for name, maker in makers]
    if approves in _made_by(asked, made) or asked in _made_by(approves, made):
        raise ConflictError(
            f"one of the tokens of {asked_by} and {approver} was made with the other: they may be one person",
            remedy="Have somebody ask or approve whose token was made with neither, nor with a token that was.",
        )


def _made_by(maker: str, made: Collection[tuple[str, str]]) -> set[str]:
    """Names of the tokens that one of this name made, and that these made, and so on."""
    found, left = set[str](), [maker]
    while left:
        each = left.pop()
        further = {name for name, by in made if by == each} - found
        found |= further
        left += further
    return found


def _read(name: str) -> str:
    read = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(read.split())
