# SPDX-License-Identifier: Apache-2.0
"""Shared access signatures: any text is a token or a WireError, and none but an honest one verifies."""

from __future__ import annotations

from armillary.errors import SignatureError, WireError
from armillary.wire.hub.sas_token import parse_sas_token, sign_sas_token, verify_sas_token

KEY, NOW = b"k" * 32, 1_800_000_000
HONEST = sign_sas_token("h/devices/d", KEY, NOW + 60)


def seeds() -> list[bytes]:
    return [HONEST.encode(), sign_sas_token("0ne/registrations/r", KEY, NOW + 60, "registration").encode()]


def fuzz(data: bytes) -> None:
    try:
        token = parse_sas_token(data.decode("utf-8", "replace"))
    except WireError:
        return
    assert len(token.signature) == 32
    try:
        assert verify_sas_token(token, resource="devices/d", keys=[KEY], now=NOW) == token.expires
    except SignatureError:
        return
    honest = parse_sas_token(HONEST)
    assert (token.signed, token.signature) == (honest.signed, honest.signature)
