# SPDX-License-Identifier: Apache-2.0
"""PEM, the textual form of DER (RFC 7468)."""

from __future__ import annotations

import base64
from typing import Final

LINE_CHARS: Final = 64  # RFC 7468 §2


def armour(label: str, der: bytes) -> bytes:
    """``der`` as text with its label, e.g. ``CERTIFICATE`` or ``X509 CRL``."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[start : start + LINE_CHARS] for start in range(0, len(text), LINE_CHARS)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode("ascii")
