# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hmac
from typing import Any

import pytest

from armillary.attest import challenge as ch
from armillary.errors import ChallengeError

KEY, PEER, NOW = b"k" * 32, b"peer", 1_790_000_000


def mint(**changes: Any):
    return ch.mint(KEY, **({"now": NOW, "random": b"r" * 16, "peer_key": PEER} | changes))


def test_opens_for_its_peer_until_it_expires():
    data = mint()
    assert len(data) == ch.CHALLENGE_BYTES
    for now in (NOW - 3600, NOW, NOW + 59):  # a service whose clock went back still knows its own challenge
        assert ch.open_challenge(KEY, data, now=now, peer_key=PEER) == ch.ChallengeId(b"r" * 16, NOW + 60)


@pytest.mark.parametrize("now", [NOW + 60, NOW + 61, NOW + 10**9])
def test_expires(now: int):
    with pytest.raises(ChallengeError, match="before"):
        ch.open_challenge(KEY, mint(), now=now, peer_key=PEER)


def test_carries_its_own_lifetime():
    data = mint(lifetime_s=ch.MAX_LIFETIME_S)
    assert ch.open_challenge(KEY, data, now=NOW + ch.MAX_LIFETIME_S - 1, peer_key=PEER).expires_at == NOW + 604_800


def test_every_byte_counts():
    data = mint()
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(ChallengeError):
            ch.open_challenge(KEY, bytes(changed), now=NOW, peer_key=PEER)


@pytest.mark.parametrize("data", [b"", b"x" * 53, b"x" * 55, bytes(54), bytes(10_000)])
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(ChallengeError):
        ch.open_challenge(KEY, data, now=NOW, peer_key=PEER)


def test_other_peer_and_other_key_are_refused():
    for key, peer in ((KEY, b"other"), (KEY, b""), (b"x" * 32, PEER)):
        with pytest.raises(ChallengeError, match="this service"):
            ch.open_challenge(key, mint(), now=NOW, peer_key=peer)


@pytest.mark.parametrize("change", [{"random": b"r" * 15}, {"lifetime_s": 0}, {"lifetime_s": ch.MAX_LIFETIME_S + 1}])
def test_mint_refuses_wrong_arguments(change: Any):
    with pytest.raises(ValueError, match="challenge"):
        mint(**change)
    with pytest.raises(ValueError, match="challenge"):
        ch.mint(b"short", now=NOW, random=b"r" * 16, peer_key=PEER)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 500])
def test_the_mac_is_hmac_sha256(size: int) -> None:
    key, message = bytes(range(32)), bytes(size)
    assert ch._mac(key, message) == hmac.digest(key, message, "sha256")
