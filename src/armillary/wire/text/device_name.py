# SPDX-License-Identifier: Apache-2.0
"""What people call a device: which names there may be, how one is looked for, and what an unnamed device is called.

A name is for people: it is not unique, it is kept in Unicode's normal form C, and it is compared without regard to
case, width and ligatures (Unicode's form KC, case folded). It is found by the beginning of any of its words: ``Freezer
2, north hall`` by ``free``, ``2, n``, ``north hall`` and ``hall``, not by ``reezer``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from armillary.errors import InvalidArgumentError
from armillary.wire.text.given_text import unseen

# A line of a table, and what IoT Central's clients send at most in practice.
MAX_NAME_CHARACTERS: Final = 128
# Words of a name that it is found by: each is a row of the records.
MAX_WORDS: Final = 16
# What is kept of a name to look for it by: enough to tell names apart; a character may fold into many.
MAX_KEY_CHARACTERS: Final = 64
# Digits of a device id in the name of a device that nobody named: one of four thousand million.
ID_DIGITS: Final = 8
# Digits of a device id that may stand for all of them where one device is meant: fewer are met by chance in a fleet.
MIN_ID_DIGITS: Final = 4

_ATTESTED: Final = re.compile(r"[0-9A-Fa-f]{128}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,128}")
_DEFAULT: Final = re.compile(rf"(?:.* )?([0-9A-Fa-f]{{{ID_DIGITS}}})")


def check_name(given: str) -> str:
    """The name that is kept for what somebody wrote; ``""`` takes a name away.

    Raises:
        InvalidArgumentError: too long, or with characters that cannot be seen.
    """
    name = unicodedata.normalize("NFC", given).strip(" ")
    hidden = unseen(name)
    if len(name) > MAX_NAME_CHARACTERS or hidden:
        got = f"the character {hidden}" if hidden else f"{len(name)} characters"
        raise InvalidArgumentError(
            f"device name: expected at most {MAX_NAME_CHARACTERS} printable characters, got {got}",
            remedy="Use letters, digits, spaces and punctuation; a name need not be unique.",
        )
    if _ATTESTED.fullmatch(name):
        raise InvalidArgumentError(
            "device name: expected no 128 hexadecimal digits, which are the id of a device",
            remedy="Use words; the id is shown beside the name.",
        )
    return name


def key_of(text: str) -> str:
    """What a name, or a search for one, is compared by."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())[:MAX_KEY_CHARACTERS]


def tails_of(name: str) -> tuple[str, ...]:
    """What a name is found by the beginnings of: its key, and the rest of it from each further word on."""
    key = key_of(name)
    starts = [0] if key else []
    starts += [at for at in range(1, len(key)) if key[at].isalnum() and not key[at - 1].isalnum()]
    return tuple(dict.fromkeys(key[at:] for at in starts[:MAX_WORDS]))


def id_prefix(text: str) -> str | None:
    """The first digits of a device's id that a search may mean, in lower case; None where it means none."""
    return text.lower() if _HEX.fullmatch(text) else None


def default_name(device_id: str, *, product: str | None, chip: str) -> str:
    """What a device that attests is called while nobody named it: its product, else its chip, and its id's start."""
    kind = product if product and not product.startswith(".") else chip
    return f"{kind} {device_id[:ID_DIGITS]}".strip()


def default_name_digits(text: str) -> str | None:
    """The first digits of the id in what may be the name of a device that nobody named, in lower case; else None."""
    found = _DEFAULT.fullmatch(text.strip())
    return None if found is None else found[1].lower()
