# SPDX-License-Identifier: Apache-2.0
"""Trust anchors: any bytes are anchors that survive another encoding, or a WireError; only vouched roots count."""

from __future__ import annotations

import contextlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from armillary.errors import WireError
from armillary.wire.certificates import certificate, trust_anchor

LIFE = {"not_before": 0, "not_after": 2_000_000_000}
KEYS = [ec.derive_private_key(number, ec.SECP256R1()) for number in (7, 8)]
OLD, NEW = (
    certificate.build_root_authority(key, name=f"Root {number}", serial=number + 1, **LIFE)
    for number, key in enumerate(KEYS)
)
VOUCHER = trust_anchor.build_voucher(OLD, KEYS[0], NEW, serial=3, **LIFE)
DER = [one.public_bytes(Encoding.DER) for one in (OLD, NEW, VOUCHER)]


def seeds() -> list[bytes]:
    old, new = trust_anchor.Anchor(DER[0]), trust_anchor.Anchor(DER[1], (DER[2],))
    identity = trust_anchor.encode_identity(DER[1], [old, new])
    return [trust_anchor.encode_anchors([old]), trust_anchor.encode_anchors([old, new]), identity]


def fuzz(data: bytes) -> None:
    with contextlib.suppress(WireError):
        found = trust_anchor.parse_identity(data)
        assert trust_anchor.encode_identity(found.certificate, found.anchors) == data
        assert trust_anchor.verify_identity(OLD, found, now=1_000_000_000) != OLD
    try:
        anchors = trust_anchor.parse_anchors(data)
        found = trust_anchor.accepted([OLD], anchors, now=1_000_000_000)
    except WireError:
        return
    assert trust_anchor.encode_anchors(anchors) == data
    assert found in ([OLD], [OLD, NEW])
