# SPDX-License-Identifier: Apache-2.0
"""base64url without padding (RFC 4648 §5), as browsers and JOSE write it."""

from __future__ import annotations

import base64


def to_base64url(data: bytes) -> str:
    """Bytes as text."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes of a text. Raises ValueError if it has a character that is not of the alphabet, or a wrong length."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
