# SPDX-License-Identifier: Apache-2.0
"""Directives: any bytes are one or a WireError, and a device takes only what the director's key has signed."""

from __future__ import annotations

import dataclasses

from tests.wire.checkin_samples import OFFER

from armillary.errors import DirectiveError, WireError
from armillary.identity.dice import alias_key
from armillary.update.directive import accepted
from armillary.wire.device.checkin import whole_offer_fields
from armillary.wire.device.offer_timing import OfferTiming, Window
from armillary.wire.encoding import cbor
from armillary.wire.update.directive import Directive, encode_directive, parse_directive

KEY, OTHER = alias_key(b"d" * 32), alias_key(b"o" * 32)
KEY_ID = "0f" * 32
NOW = 1_790_000_000
TIMING = OfferTiming(
    not_before=5, lease_until=NOW, windows=(Window(1, 2), Window(4, 9)), max_deferral_s=60, urgent=True
)
DIRECTIVE = Directive(
    version=3,
    device_id="ab" * 64,
    hardware="mt3620",
    offer=dataclasses.replace(OFFER, os_version="26.12", os_abi=2, when=TIMING),
    issued_at=NOW,
    expires_at=NOW + 3600,
)
SIGNED = encode_directive(DIRECTIVE, KEY, KEY_ID)


def seeds() -> list[bytes]:
    plain = dataclasses.replace(DIRECTIVE, offer=OFFER, version=4)
    return [SIGNED, encode_directive(plain, OTHER, KEY_ID), encode_directive(plain, KEY, "0e" * 32)]


def fuzz(data: bytes) -> None:
    try:
        unverified = parse_directive(data)
    except WireError:
        return
    claims = unverified.claims
    head = [claims.version, bytes.fromhex(claims.device_id), claims.hardware, whole_offer_fields(claims.offer)]
    assert cbor.encode_ordered([*head, claims.issued_at, claims.expires_at]) == unverified.message.payload
    try:
        accepted(
            unverified,
            {KEY_ID: KEY.public_key()},
            device_id=DIRECTIVE.device_id,
            hardware=DIRECTIVE.hardware,
            last_version=DIRECTIVE.version,
            now=NOW,
        )
    except (WireError, DirectiveError):
        return
    assert data == SIGNED
