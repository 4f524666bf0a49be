# SPDX-License-Identifier: Apache-2.0
"""Keeps a value in a flash region, unless it is larger than what reads the region takes: all of it would be lost."""

from __future__ import annotations

from typing import Any

from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.flash.port import Flash, replace_region
from armillary.wire.encoding import cbor


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
