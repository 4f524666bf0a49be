# SPDX-License-Identifier: Apache-2.0
"""Evidence and endorsements: any bytes parse or are a WireError; both readers of evidence agree."""

from __future__ import annotations

import contextlib

from armillary.errors import WireError
from armillary.identity.dice import alias_key
from armillary.sim.device.prover import Prover, release
from armillary.wire.attestation import evidence as ev
from armillary.wire.encoding import cose

DEVICE = Prover(uds=b"u" * 32, components=release(1))
CLIENT_KEY = cose.spki_from_point(cose.point_of(alias_key(b"c" * 32).public_key()))


def seeds() -> list[bytes]:
    usual = DEVICE.request(b"n" * 54, CLIENT_KEY).evidence
    short = DEVICE.request(b"n" * 8, CLIENT_KEY).evidence
    return [usual, short, DEVICE.endorsement, cose.parse_sign1(usual).payload]


def fuzz(data: bytes) -> None:
    for parse in (ev.parse_evidence, ev.parse_endorsement):
        with contextlib.suppress(WireError):
            parse(data)
    if not data:
        return
    try:  # the payload reader without the envelope: mutants reach deeper
        strict = ev._evidence_claims(data)  # noqa: SLF001 - both readers are compared
    except WireError:
        strict = None
    try:
        remembered = ev._known_claims(data)  # noqa: SLF001
    except WireError:
        assert strict is None
        return
    assert remembered in (None, strict)
