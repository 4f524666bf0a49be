# SPDX-License-Identifier: Apache-2.0
"""The answer to ``GET /v1/challenge``: a challenge for the next check-in, and the time.

``docs/reference/device-protocol.md`` has its CDDL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_time

CHALLENGE_VERSION: Final = 1  # the protocol version that every challenge message says
MAX_CHALLENGE_MESSAGE_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge and the server's time, Unix seconds UTC."""

    challenge: bytes
    server_time: int


def encode_challenge(message: Challenge) -> bytes:
    """Encode a challenge message."""
    return cbor.encode_ordered([CHALLENGE_VERSION, message.challenge, message.server_time])


def parse_challenge(data: bytes) -> Challenge:
    """Parse a challenge message of protocol version 1, else raise WireError."""
    what = "challenge message"
    fields = take_array(cbor.decode(data, what=what, limit=MAX_CHALLENGE_MESSAGE_BYTES), what, limit=3, size=3)
    if fields[0] != CHALLENGE_VERSION or type(fields[0]) is not int:
        raise WireError(what, expected=f"protocol version {CHALLENGE_VERSION}", got=f"{fields[0]!r:.40}")
    return Challenge(
        challenge=take_bytes(fields[1], "challenge", limit=64),
        server_time=take_time(fields[2], "challenge server time"),
    )
