# SPDX-License-Identifier: Apache-2.0
"""Encodes check-in replies fast: parts that rarely change are encoded once and joined.

A reply is a CBOR array, and a CBOR array is its head and its items one after the other (RFC 8949 §3.2.1). Steps,
authority certificates and offer are the same objects in thousands of replies; their encodings are cached by identity.
``tests/wire/device/test_checkin_reply.py`` holds that the result equals
:func:`armillary.wire.device.checkin.encode_reply`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.device.checkin import (
    CONSENT_REPLY_VERSION,
    DIRECTIVE_REPLY_VERSION,
    FULL_DUMPS,
    LOG_REPLY_VERSION,
    MAX_REPLY_BYTES,
    NO_DUMPS,
    PROTOCOL_VERSION,
    PURPOSES,
    SCRUBBED_DUMPS,
    VERDICTS,
    AppraisalStep,
    Offer,
    offer_fields,
    step_fields,
    whole_offer_fields,
)
from armillary.wire.encoding import cbor

# Cached encodings of each kind; a full cache is emptied.
MAX_CACHED: Final = 1024

# An array of 12 items, of 13 with a directive, 14 with what crash dumps may hold, 15 with a request for the log; the
# version.
_HEADS: Final = {
    PROTOCOL_VERSION: b"\x8c\x01",
    DIRECTIVE_REPLY_VERSION: b"\x8d\x02",
    CONSENT_REPLY_VERSION: b"\x8e\x03",
    LOG_REPLY_VERSION: b"\x8f\x04",
}
_DUMPS: Final = {dumps: cbor.encode_ordered(dumps) for dumps in (NO_DUMPS, SCRUBBED_DUMPS, FULL_DUMPS)}
_CHAINS: Final = {size: cbor.encode_ordered([None] * size)[:1] for size in range(1, 8)}  # heads of arrays
_TEXT: Final = {word: cbor.encode(word) for word in (*VERDICTS, *PURPOSES)}


class _EncodingCache:
    """Cache of encodings by identity of the object; it holds the objects, so that their identities stay unique."""

    __slots__ = ("_known", "_make")

    def __init__(self, make: Callable[[Any], bytes]) -> None:
        self._make = make
        self._known: dict[int, tuple[object, bytes]] = {}

    def of(self, part: object) -> bytes:
        found = self._known.get(id(part))
        if found is not None and found[0] is part:
            return found[1]
        encoded = self._make(part)
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        self._known[id(part)] = (part, encoded)
        return encoded


class ReplyEncoder:
    """Encodes replies; belongs to one event loop, takes no lock."""

    __slots__ = ("_authorities", "_heads", "_hubs", "_offers", "_whole_offers")

    def __init__(self) -> None:
        self._heads = _EncodingCache(lambda steps: cbor.encode_ordered([step_fields(step) for step in steps]))
        self._authorities = _EncodingCache(lambda chain: b"".join(cbor.encode_ordered(der) for der in chain))
        self._offers = _EncodingCache(lambda offer: cbor.encode_ordered(offer_fields(offer)))
        self._whole_offers = _EncodingCache(lambda offer: cbor.encode_ordered(whole_offer_fields(offer)))
        self._hubs = _EncodingCache(lambda hub: b"".join(cbor.encode_ordered(item) for item in hub))

    def encode(
        self,
        *,
        verdict: str,
        steps: tuple[AppraisalStep, ...],
        leaf: bytes,
        authorities: tuple[bytes, ...],
        purpose: str,
        catalog_id: UUID,
        offer: Offer | None,
        next_check_in_s: int,
        challenge: bytes,
        server_time: int,
        hub: tuple[str, int],
        version: int = PROTOCOL_VERSION,
        directive: bytes | None = None,
        dumps: int = NO_DUMPS,
        log_request: UUID | None = None,
    ) -> bytes:
        """A reply with the fields of :class:`armillary.wire.device.checkin.CheckinReply`.

        Its certificate chain is ``leaf`` and ``authorities``, DER; ``hub`` is host and port. ``directive`` belongs to
        versions from DIRECTIVE_REPLY_VERSION on, and then stands for the offer; ``dumps`` to those from
        CONSENT_REPLY_VERSION on; ``log_request`` to LOG_REPLY_VERSION.

        Raises:
            WireError: larger than MAX_REPLY_BYTES.
        """
        encode = cbor.encode_ordered
        directed = version >= DIRECTIVE_REPLY_VERSION
        offers = self._whole_offers if directed else self._offers
        data = b"".join(
            (
                _HEADS[version],
                _TEXT[verdict],
                self._heads.of(steps),
                _CHAINS[1 + len(authorities)],
                encode(leaf),
                self._authorities.of(authorities),
                _TEXT[purpose],
                b"\x50",  # byte string of 16
                catalog_id.bytes,
                b"\xf6" if offer is None else offers.of(offer),
                encode(next_check_in_s),
                encode(challenge),
                encode(server_time),
                self._hubs.of(hub),
                b"" if not directed else b"\xf6" if directive is None else encode(directive),
                _DUMPS[dumps] if version >= CONSENT_REPLY_VERSION else b"",
                b"" if version < LOG_REPLY_VERSION else b"\xf6" if log_request is None else b"\x50" + log_request.bytes,
            )
        )
        if len(data) > MAX_REPLY_BYTES:
            raise WireError("check-in reply", expected=f"at most {MAX_REPLY_BYTES} bytes", got=f"{len(data)} bytes")
        return data
