# SPDX-License-Identifier: Apache-2.0
"""Geometry of a flash medium: what is written, erased and torn in which units.

Data, ``content/flash/<name>.toml``. Keys, all required::

    name, title         strings; name is the file's
    sector_bytes        unit in which a write reaches the medium; each is one operation
    erase_block_bytes   unit that is erased before it can be written again, each one operation; 0 if nothing is erased
    atomic_bytes        written whole or not at all; divides sector_bytes
    cached              true: a volatile cache, what is not synced is lost or arrives in any order
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from armillary.wire.image import manifest_field as field

# Far above every medium; they keep a slip of the pen from making a simulation endless.
SECTOR_LIMIT_BYTES = 1 << 16
ERASE_BLOCK_LIMIT_BYTES = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """One kind of medium; see the module docstring."""

    name: str
    title: str
    sector_bytes: int
    erase_block_bytes: int
    atomic_bytes: int
    cached: bool


def parse(document: Mapping[str, Any]) -> Geometry:
    """Check a decoded geometry; ManifestError names the key, what was expected and what is there."""
    field.known_keys(
        document, ("name", "title", "sector_bytes", "erase_block_bytes", "atomic_bytes", "cached"), "flash geometry"
    )
    sector = _size(document, "sector_bytes", minimum=1, maximum=SECTOR_LIMIT_BYTES)
    erase_block = _size(document, "erase_block_bytes", minimum=0, maximum=ERASE_BLOCK_LIMIT_BYTES)
    atomic = _size(document, "atomic_bytes", minimum=1, maximum=sector)
    cached = field.required(document, "cached")
    if not isinstance(cached, bool):
        raise field.wrong("cached", "true or false", cached)
    if sector % atomic:
        raise field.wrong("atomic_bytes", f"a divisor of sector_bytes ({sector})", atomic)
    if erase_block % sector:
        raise field.wrong("erase_block_bytes", f"0 or a multiple of sector_bytes ({sector})", erase_block)
    if erase_block and cached:
        raise field.wrong("cached", "false for a medium that is erased: the cache hides erasing", cached)
    return Geometry(
        name=field.text(field.required(document, "name"), "name"),
        title=field.text(field.required(document, "title"), "title"),
        sector_bytes=sector,
        erase_block_bytes=erase_block,
        atomic_bytes=atomic,
        cached=cached,
    )


def _size(document: Mapping[str, Any], key: str, *, minimum: int, maximum: int) -> int:
    return field.integer(field.required(document, key), key, None, minimum=minimum, maximum=maximum)
