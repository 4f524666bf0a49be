# SPDX-License-Identifier: Apache-2.0
"""Trusted metadata in flash: one region for each role, replaced whole.

A region is named after its role, ``repository/timestamp.json``, so that people and other tools find it. A role whose
name is no plain word (roles may be called anything) is named after the hash of its name instead: two roles never share
a region, and no name reaches outside the folder.
"""

from __future__ import annotations

import re
from hashlib import sha256

from armillary.engines.flash.port import Flash, replace_region

FOLDER = "repository"
_PLAIN = re.compile(r"[a-z][a-z0-9-]{0,50}")
_HASHED = "hashed-"


class FlashMetadata:
    """Keeps metadata in the regions of ``folder``."""

    def __init__(self, flash: Flash, folder: str = FOLDER) -> None:
        self._flash = flash
        self._folder = folder

    def read(self, role: str) -> bytes | None:
        """The kept bytes of a role, or None."""
        return self._flash.read(self._region(role))

    def keep(self, role: str, data: bytes) -> None:
        """Keep ``data``; a power cut leaves the old or the new bytes, whole."""
        replace_region(self._flash, self._region(role), data)

    def forget(self, role: str) -> None:
        """Remove the metadata of a role, durably."""
        self._flash.remove(self._region(role))

    def _region(self, role: str) -> str:
        plain = _PLAIN.fullmatch(role) is not None and not role.startswith(_HASHED)
        name = role if plain else _HASHED + sha256(role.encode()).hexdigest()[:48]
        return f"{self._folder}/{name}.json"
