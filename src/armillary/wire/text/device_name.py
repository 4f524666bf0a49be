# SPDX-License-Identifier: Apache-2.0
"""Names of devices for people: which are valid, how they are searched, and the default name of a device.

A name is not unique, it is stored in Unicode's normal form C, and it is compared without regard to
case, width and ligatures (Unicode's form KC, case folded). It is found by the beginning of any of its words: ``Freezer
2, north hall`` by ``free``, ``2, n``, ``north hall`` and ``hall``, not by ``reezer``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from armillary.errors import InvalidArgumentError
from armillary.wire.text.given_text import unseen

# One line of a table; IoT Central's clients send no longer ones in practice.
MAX_NAME_CHARACTERS: Final = 128
# What a body or form may hold before the name is judged: it may be in a longer form of Unicode.
MAX_TEXT_CHARACTERS = 4 * MAX_NAME_CHARACTERS
# Words of a name by which it is found: each is a row of the records.
MAX_WORDS: Final = 16
# Characters of a name that searches compare: enough to distinguish names; one character may fold into several.
MAX_KEY_CHARACTERS: Final = 64
# Digits of the device id in a default name: one of four thousand million.
ID_DIGITS: Final = 8
# Fewest leading digits of a device id that identify a device: fewer match another device of a fleet by chance.
MIN_ID_DIGITS: Final = 4

_ATTESTED: Final = re.compile(r"[0-9A-Fa-f]{128}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,128}")
_DEFAULT: Final = re.compile(rf"(?:.* )?([0-9A-Fa-f]{{{ID_DIGITS}}})")


def check_name(given: str) -> str:
    """The name to store for a given one, in normal form C without spaces around it; ``""`` deletes the name.

    Raises InvalidArgumentError if it is too long or has characters that cannot be seen.
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
    """The key by which names and searches are compared: form KC, case folded."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())[:MAX_KEY_CHARACTERS]


def tails_of(name: str) -> tuple[str, ...]:
    """The texts whose beginnings a search compares: the name's key, and its rest from each further word on."""
    key = key_of(name)
    starts = [0] if key else []
    starts += [at for at in range(1, len(key)) if key[at].isalnum() and not key[at - 1].isalnum()]
    return tuple(dict.fromkeys(key[at:] for at in starts[:MAX_WORDS]))


def id_prefix(text: str) -> str | None:
    """The leading digits of a device id that a search may mean, in lower case; None where it is not hexadecimal."""
    return text.lower() if _HEX.fullmatch(text) else None


def default_name(device_id: str, *, product: str | None, chip: str) -> str:
    """The default name of an attesting device: its product, else its chip, and the first digits of its id."""
    kind = product if product and not product.startswith(".") else chip
    return f"{kind} {device_id[:ID_DIGITS]}".strip()


def default_name_digits(text: str) -> str | None:
    """The digits of the id in a text that may be a default name, in lower case; None in any other."""
    found = _DEFAULT.fullmatch(text.strip())
    return None if found is None else found[1].lower()
