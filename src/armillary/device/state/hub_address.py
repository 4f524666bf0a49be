# SPDX-License-Identifier: Apache-2.0
"""The hub's address, stored so that applications can start before the first check-in of a boot.

Flash region ``device/hub``, deterministic CBOR ``[host, port]``. Written only when it changes.
"""

from __future__ import annotations

from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.errors import WireError
from armillary.wire.device.checkin import MAX_HOST_BYTES
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_text, take_uint

_REGION = "device/hub"
_WHAT = "hub address"

HubAddress = tuple[str, int]


def load_hub(flash: Flash) -> HubAddress | None:
    """The address of the last check-in, or None before the first. A damaged one is forgotten: the next brings it."""
    data = read_or_none(flash, _REGION)
    if data is None:
        return None
    try:
        host, port = take_array(cbor.decode(data, what=_WHAT, limit=512), _WHAT, limit=2, size=2)
        return take_text(host, _WHAT, limit=MAX_HOST_BYTES), take_uint(port, _WHAT, limit=65535)
    except WireError:
        return None


def store_hub(flash: Flash, hub: HubAddress) -> None:
    """Store the address, if it has changed."""
    if load_hub(flash) != hub:
        replace_region(flash, _REGION, cbor.encode(list(hub)))
