# SPDX-License-Identifier: Apache-2.0
"""The directive: what one device should install, as one signed unit, in the reply to its check-in.

::

    directive = #6.18([                            ; COSE_Sign1 (RFC 9052 §4.2), ES256, at most 16 KiB
      protected   : bstr .cbor { 1: -7, 4: bstr .size 32 },   ; kid: TUF key id of a director key
      unprotected : {},
      payload     : bstr .cbor [
        version    : 0..9007199254740992,          ; rises with each directive for this device
        device-id  : bstr .size 64,
        hardware   : tstr .size (1..32),           ; name of the chip profile
        offer      : whole-offer,                  ; the complete set, wire/device/checkin.py
        issued-at  : time,
        expires-at : time,                         ; > issued-at
      ],
      signature   : bstr .size 64,
    ])                                             ; external_aad = "armillary directive 1"

As in Uptane, it does not vouch for what the images are: their hashes have to be in the repository's metadata as well.
So neither who holds the director's key alone, nor who holds the repository's keys alone, can have a device install
anything. Device, hardware and set are one signed unit: nobody can mix two suppliers' sets, send a device the set of
another, or one that it has left behind. Deciding whether to take one is ``armillary.update.directive``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.wire.device.checkin import MAX_DIRECTIVE_BYTES, Offer, whole_offer, whole_offer_fields
from armillary.wire.device.update_status import MAX_DIRECTIVE_VERSION
from armillary.wire.encoding import cbor, cose
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_map, take_text, take_time, take_uint

CONTEXT: Final = b"armillary directive 1"  # external_aad: no signature over anything else is one over a directive
KEY_ID_BYTES: Final = 32  # TUF key ids are SHA-256 (TUF 1.0.33 §4.2)
DEVICE_ID_BYTES: Final = 64
MAX_HARDWARE_BYTES: Final = 32  # as hwmodel in evidence
WHAT: Final = "directive"

_KEY_ID: Final = 4  # header parameter kid (RFC 9052 §3.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """What the director wants on a device; times are Unix seconds UTC."""

    version: int
    device_id: str  # 128 hex digits
    hardware: str  # name of the chip profile
    offer: Offer
    issued_at: int
    expires_at: int


class UnverifiedDirective(NamedTuple):
    """A parsed directive whose signature is not verified."""

    message: cose.UnverifiedSign1
    key_id: str  # claimed TUF key id, 64 hex digits
    claims: Directive


def encode_directive(directive: Directive, key: ec.EllipticCurvePrivateKey, key_id: str) -> bytes:
    """Sign a directive with a director's P-256 key, whose TUF key id is ``key_id`` (64 hex digits).

    Raises:
        WireError: it is over a limit of the format.
        SignerError: the key is in a token that does not answer.
    """
    payload = cbor.encode_ordered(
        [
            directive.version,
            bytes.fromhex(directive.device_id),
            directive.hardware,
            whole_offer_fields(directive.offer),
            directive.issued_at,
            directive.expires_at,
        ]
    )
    _claims(payload)  # better refused here than by the device
    protected = cbor.encode({cose.HEADER_ALGORITHM: cose.ES256, _KEY_ID: bytes.fromhex(key_id)})
    data = cose.encode_sign1(payload, key, external_aad=CONTEXT, protected=protected)
    if len(data) > MAX_DIRECTIVE_BYTES:
        raise WireError(WHAT, expected=f"at most {MAX_DIRECTIVE_BYTES} bytes", got=f"{len(data)} bytes")
    return data


def parse_directive(data: bytes) -> UnverifiedDirective:
    """Parse a directive without verifying it; WireError if it is none."""
    message = cose.parse_sign1(data, what=WHAT)
    if message.unprotected:
        raise WireError(WHAT, expected="no unprotected parameters", got="some")
    header = cbor.decode(message.protected, what=f"{WHAT} header", limit=cose.MAX_SIGN1_BYTES)
    header = take_map(header, (cose.HEADER_ALGORITHM, _KEY_ID), f"{WHAT} header")
    key_id = take_bytes(header[_KEY_ID], "directive key id", size=KEY_ID_BYTES)
    return UnverifiedDirective(message, key_id.hex(), _claims(message.payload))


def _claims(payload: bytes) -> Directive:
    fields: list[Any] = take_array(cbor.decode(payload, what=WHAT, limit=MAX_DIRECTIVE_BYTES), WHAT, limit=6, size=6)
    hardware = take_text(fields[2], "directive hardware", limit=MAX_HARDWARE_BYTES)
    if not hardware:
        raise WireError("directive hardware", expected="the name of a chip profile", got="nothing")
    issued_at, expires_at = (take_time(field, "directive time") for field in fields[4:])
    if expires_at <= issued_at:
        raise WireError(WHAT, expected="an end after it was issued", got=f"{issued_at} to {expires_at}")
    return Directive(
        version=take_uint(fields[0], "directive version", limit=MAX_DIRECTIVE_VERSION),
        device_id=take_bytes(fields[1], "directive device id", size=DEVICE_ID_BYTES).hex(),
        hardware=hardware,
        offer=whole_offer(fields[3]),
        issued_at=issued_at,
        expires_at=expires_at,
    )
