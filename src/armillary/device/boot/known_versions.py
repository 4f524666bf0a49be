# SPDX-License-Identifier: Apache-2.0
"""Which versions the OSes are that were attested on this device, apart from the install record: no package says it.

A device that names another version than the one of which it measures the components is not attested. So where the
record is lost, what runs is named by this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.errors import DataFolderError, WireError
from armillary.update.install.record import OsVersion
from armillary.wire.encoding import cbor

REGION: Final = "device/os-versions"
MAX_KNOWN: Final = 4  # that of each slot, and those of the updates before them
_MAX_BYTES: Final = 4096  # four of the longest versions, and their digests


def known_version(flash: Flash, digests: Sequence[bytes]) -> OsVersion:
    """The version of an OS by the SHA-256 of its packages in boot order; an empty one if it was not attested here."""
    return _load(flash).get(_key(digests), OsVersion())


def remember_version(flash: Flash, digests: Sequence[bytes], version: OsVersion) -> None:
    """Keep the version of an OS that was attested; where the flash does not take it, the next check-in does."""
    known, key = dict(_load(flash)), _key(digests)
    if known.get(key) == version:
        return
    known.pop(key, None)
    kept = [*known.items(), (key, version)][-MAX_KNOWN:]
    with contextlib.suppress(DataFolderError):
        replace_region(flash, REGION, cbor.encode([[each, os.version, os.abi] for each, os in kept]))


def _load(flash: Flash) -> Mapping[bytes, OsVersion]:
    """What is kept; nothing where that is damaged."""
    try:
        value: Any = cbor.decode(read_or_none(flash, REGION) or b"\x80", what="OS versions", limit=_MAX_BYTES)
        known = {key: OsVersion(version, abi) for key, version, abi in value}
    except (WireError, TypeError, ValueError):
        return {}
    is_sound = all(type(key) is bytes and type(os.version) is str and type(os.abi) is int for key, os in known.items())
    return known if is_sound else {}


def _key(digests: Sequence[bytes]) -> bytes:
    return sha256(b"".join(digests)).digest()
