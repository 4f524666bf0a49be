# SPDX-License-Identifier: Apache-2.0
"""The answer to ``GET /v1/hint``, by which a device hears at once that somebody wants it to check in.

::

    hint = [ 1, check-in : bool ]           ; at most 16 bytes

The service answers when there is something to say, or after some minutes with false. Nothing is decided by a hint: what
a check-in brings is as before, and a hint that is lost costs no more than the interval between two check-ins.
"""

from __future__ import annotations

from typing import Final

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array

HINT_VERSION: Final = 1  # 1: 2026-11, first
MAX_HINT_BYTES: Final = 16
_WHAT: Final = "hint"


def encode_hint(*, check_in: bool) -> bytes:
    """Encode a hint."""
    return cbor.encode_ordered([HINT_VERSION, check_in])


def parse_hint(data: bytes) -> bool:
    """Whether a device is to check in now; raises WireError for anything but a hint of version 1."""
    version, check_in = take_array(cbor.decode(data, what=_WHAT, limit=MAX_HINT_BYTES), _WHAT, limit=2, size=2)
    if type(version) is not int or version != HINT_VERSION or type(check_in) is not bool:
        raise WireError(_WHAT, expected="version 1 and true or false", got=f"{version!r:.40}, {check_in!r:.40}")
    return check_in
