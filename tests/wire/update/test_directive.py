# SPDX-License-Identifier: Apache-2.0
"""The directive as bytes: limits, headers and what is refused; taking one is ``tests/update/test_directive.py``."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest
from tests.wire.checkin_samples import OFFER

from armillary.errors import WireError
from armillary.identity.dice import alias_key
from armillary.wire.device.checkin import MAX_OFFERED
from armillary.wire.encoding import cbor, cose
from armillary.wire.update.directive import CONTEXT, Directive, encode_directive, parse_directive

KEY = alias_key(b"d" * 32)
KEY_ID = "0f" * 32
DIRECTIVE = Directive(
    version=3,
    device_id="ab" * 64,
    hardware="mt3620",
    offer=dataclasses.replace(OFFER, os_version="26.12", os_abi=2),
    issued_at=1_790_000_000,
    expires_at=1_790_600_000,
)
PROTECTED = cbor.encode({1: -7, 4: bytes.fromhex(KEY_ID)})


def signed(payload: Any, protected: bytes = PROTECTED) -> bytes:
    return cose.encode_sign1(cbor.encode(payload), KEY, external_aad=CONTEXT, protected=protected)


def fields() -> list[Any]:
    message = cose.parse_sign1(encode_directive(DIRECTIVE, KEY, KEY_ID))
    return list(cbor.decode(message.payload, what="t", limit=10_000))


def test_a_directive_says_who_signed_it_and_is_one_unit():
    parsed = parse_directive(encode_directive(DIRECTIVE, KEY, KEY_ID))
    assert (parsed.claims, parsed.key_id) == (DIRECTIVE, KEY_ID)
    cose.verify_sign1(parsed.message, KEY.public_key(), external_aad=CONTEXT)
    assert parse_directive(signed(fields())).claims == DIRECTIVE  # positive control of the cases below


def test_its_signature_is_none_over_the_same_bytes_without_its_context():
    parsed = parse_directive(encode_directive(DIRECTIVE, KEY, KEY_ID))
    with pytest.raises(WireError):
        cose.verify_sign1(parsed.message, KEY.public_key())


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, -1),
        (0, "3"),
        (1, bytes(63)),
        (1, "ab" * 64),
        (2, ""),
        (2, "x" * 33),
        (3, None),
        (3, [bytes(16), None, []]),
        (3, [bytes(16), None, [], "x" * 65, 0, None]),
        (3, [bytes(16), None, [], "", -1, None]),
        (3, [bytes(16), None, [], "", 0, [0]]),
        (4, -1),
        (5, 1_790_000_000),
        (5, 0),
    ],
)
def test_other_values_are_refused(at: int, value: Any):
    changed = fields()
    changed[at] = value
    with pytest.raises(WireError):
        parse_directive(signed(changed))


@pytest.mark.parametrize(
    "protected",
    [cose.ES256_PROTECTED, cbor.encode({1: -7, 4: bytes(31)}), cbor.encode({1: -7, 4: bytes(32), 5: 1})],
)
def test_other_headers_are_refused(protected: bytes):
    with pytest.raises(WireError):
        parse_directive(signed(fields(), protected))


def test_parameters_that_nobody_signed_are_refused():
    good = signed(fields())
    at = len(b"\xd2\x84") + len(cbor.encode(PROTECTED))
    with pytest.raises(WireError, match="unprotected"):
        parse_directive(good[:at] + cbor.encode({6: bytes(32)}) + good[at + 1 :])


def test_items_missing_or_too_many_are_refused():
    for payload in (fields()[:5], [*fields(), None], {}):
        with pytest.raises(WireError):
            parse_directive(signed(payload))


def test_the_largest_set_fits_and_a_value_over_its_limit_is_refused_before_it_is_signed():
    image = dataclasses.replace(OFFER.images[0], name="n" * 64, component_id=UUID(int=2**128 - 1), size=2**32)
    full = dataclasses.replace(DIRECTIVE, offer=dataclasses.replace(OFFER, images=(image,) * MAX_OFFERED))
    assert parse_directive(encode_directive(full, KEY, KEY_ID)).claims == full
    with pytest.raises(WireError):
        encode_directive(dataclasses.replace(DIRECTIVE, hardware="h" * 33), KEY, KEY_ID)
