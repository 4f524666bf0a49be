# SPDX-License-Identifier: Apache-2.0
"""Recovery codes: what opens the console's second step once, for somebody who has lost the passkey. Pure."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

# 80 bits cannot be guessed, and are four groups of four letters to copy.
CODE_BYTES: Final = 10
GROUP: Final = 4
# How many are made at once: printed on half a page.
CODES: Final = 10
MAX_CODE_CHARS: Final = 64


def code_of(random: bytes) -> str:
    """The code of :data:`CODE_BYTES` random bytes, as people copy it: ``ABCD-EFGH-IJKL-MNOP``."""
    text = base64.b32encode(random).decode()
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def hash_of(typed: str) -> bytes:
    """What is kept of a code, as it was typed: in any case, with or without hyphens and spaces."""
    plain = "".join(each for each in typed[:MAX_CODE_CHARS].upper() if each.isalnum())
    return hashlib.sha256(plain.encode()).digest()
