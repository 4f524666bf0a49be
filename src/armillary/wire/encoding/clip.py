# SPDX-License-Identifier: Apache-2.0
"""Cuts text to a limit in bytes of UTF-8, as the wire counts it."""

from __future__ import annotations


def clip_text(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` bytes of UTF-8, without NUL, never inside a character."""
    clean = text.replace("\0", "").encode(errors="replace")
    return clean[:limit].decode(errors="ignore")
