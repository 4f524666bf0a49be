# SPDX-License-Identifier: Apache-2.0
"""Converts ids of IoT Central's API, which distinguish case (``myJobId``), to ids of documents, which do not.

``myJobId`` is stored as ``myjobid.u14``: in lower case, with the positions of the upper-case letters as a bit mask in
hexadecimal (the lowest bit is the first letter). Ids of that API have no full stop, so no other id has this form.
"""

from __future__ import annotations

import re
from typing import Final

from armillary.errors import InvalidArgumentError

_CENTRAL: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_OURS: Final = re.compile(r"[a-z0-9._-]{1,128}")
_ENCODED: Final = re.compile(r"([a-z0-9_-]+)\.u([1-9a-f][0-9a-f]*)")


def document_id(given: str) -> str:
    """The id of a document for an id of IoT Central's API, or for a document's own id that the API has shown.

    Raises InvalidArgumentError for an id that neither could have.
    """
    if _CENTRAL.fullmatch(given) is None:
        if _OURS.fullmatch(given) is not None:  # ours may have full stops; the store says what else is wrong
            return given
        raise InvalidArgumentError(
            f"id: expected letters, digits, _ and -, got {given[:64]!a}", remedy="Choose another id."
        )
    mask = sum(1 << place for place, letter in enumerate(given) if letter.isupper())
    return given if not mask else f"{given.lower()}.u{mask:x}"


def central_id(kept: str) -> str:
    """The id of IoT Central's API for the id of a document."""
    found = _ENCODED.fullmatch(kept)
    if found is None:
        return kept
    mask, letters = int(found[2], 16), found[1]
    places = [place for place in range(len(letters)) if mask >> place & 1]
    if mask >> len(letters) or not all(letters[place].isalpha() for place in places):
        return kept  # not written by document_id
    return "".join(letter.upper() if mask >> place & 1 else letter for place, letter in enumerate(letters))
