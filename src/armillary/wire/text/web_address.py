# SPDX-License-Identifier: Apache-2.0
"""Reads web addresses (RFC 3986) of untrusted sources; every invalid one is a ValueError, never another error."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

SCHEMES: Final = ("http", "https")


def split_web_address(text: str) -> SplitResult:
    """The parts of an ``http`` or ``https`` URL with a host; its ``port`` can be read.

    Raises ValueError if it is not such a URL, or not printable ASCII without spaces.
    """
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.port == 0:
        raise ValueError(f"no web address: {text!a:.100}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a web address is of ASCII characters without spaces")
    return parts


def host_of_origin(origin: str) -> str | None:
    """Host, with the port if there is one, of an ``Origin`` header (RFC 6454 §7); None for ``null`` and nonsense."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
