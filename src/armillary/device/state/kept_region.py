# SPDX-License-Identifier: Apache-2.0
"""Keeps a value in a flash region, and reads it again.

A value that is larger than what reads the region takes is not kept: all of it would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.flash.port import Flash, replace_region
from armillary.errors import ArmillaryError, DataFolderError
from armillary.wire.encoding import cbor

T = TypeVar("T")


class DamagedRegionError(DataFolderError):
    """A region that can be read has not what was kept in it: the flash fails, or another version wrote it."""


def read_region(flash: Flash, region: str, read: Callable[[bytes], T], nothing: T) -> T:
    """What ``read`` makes of the region; ``nothing`` where there is no such region.

    Raises:
        DamagedRegionError: it has something else than what ``read`` takes.
        DataFolderError: the flash does not give it.
    """
    data = flash.read(region)
    if data is None:
        return nothing
    try:
        return read(data)
    except (ArmillaryError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedRegionError(
            f"flash region {region} is damaged: {_reason(error)}",
            remedy="It counts as empty: say again what was kept there.",
        ) from error


def read_or_nothing(flash: Flash, region: str, read: Callable[[bytes], T], nothing: T) -> T:
    """The same, ``nothing`` also where it is damaged: only failing flash does that. DataFolderError as above."""
    try:
        return read_region(flash, region, read, nothing)
    except DamagedRegionError:
        return nothing


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, ArmillaryError) else f"{type(error).__name__} {error}"


def keep_region(flash: Flash, region: str, value: Any, *, limit_bytes: int, number: int) -> None:
    """Replace the region by the value as CBOR; RequestRefusedError with this number where it has too many bytes."""
    data = cbor.encode(value)
    if len(data) > limit_bytes:
        raise RequestRefusedError(
            number,
            f"{region} would have {len(data)} bytes: expected at most {limit_bytes}",
            remedy="Nothing was changed. Remove an entry that nothing uses.",
        )
    replace_region(flash, region, data)
