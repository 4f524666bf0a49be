# SPDX-License-Identifier: Apache-2.0
"""Tokens of controllers: made here or brought along, stored as a keyed hash.

A token that a fleet brings along may be short. So its hash has a key, from the keys folder: whoever has a copy of the
database alone can try no tokens on it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from functools import cached_property
from typing import Final

from armillary.errors import InvalidArgumentError

# hawkBit's own tokens have 32 characters; fewer than 16 can be guessed over the network.
TOKEN_PATTERN: Final = "^[A-Za-z0-9._~+/=-]{16,256}$"  # noqa: S105 - the form of tokens, no token
_TOKEN: Final = re.compile(TOKEN_PATTERN)
_DOMAIN: Final = b"armillary bridge token 1\0"


def checked_token(text: str) -> str:
    """A token that a device brings along; InvalidArgumentError, without the token, if it cannot be one."""
    if _TOKEN.fullmatch(text) is None:
        raise InvalidArgumentError(
            f"token: expected 16 to 256 letters, digits and . _ ~ + / = -, got {len(text)} characters",
            remedy="Give the token that the devices send, or let the service make one.",
        )
    return text


class TokenHashes:
    """Hashes tokens with the secret of the service; ``secret`` is called at the first one."""

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret

    def of(self, token: str) -> bytes:
        """The hash of a token, 32 bytes."""
        return hmac.digest(self._key, token.encode("utf-8"), "sha256")

    @cached_property
    def _key(self) -> bytes:
        return hmac.digest(self._secret(), _DOMAIN, "sha256")
