# SPDX-License-Identifier: Apache-2.0
"""Challenges: fresh, bound to one TLS peer, and carrying their own expiry, so the service stores none.

::

    challenge = version (1 byte) || expires_at (5 bytes, Unix seconds) || id (16 random bytes) || mac (32 bytes)
    mac       = HMAC-SHA-256(key, "armillary challenge" || version || expires_at || id || peer key)

54 bytes, within the 8 to 64 of ``eat_nonce`` (RFC 9711 §4.1). Version 1 is fetched, version 2 rides on a reply: a
device keeps that one and shows it again (``attest/lineage.py``). What the MAC cannot say is whether the challenge
was answered before: the caller records the :class:`ChallengeId` until it expires, in the same transaction as
the check-in, and refuses a second one. One record shared by all workers, or a replay through another worker
passes.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from armillary.errors import ChallengeError

CHALLENGE_BYTES: Final = 54
RANDOM_BYTES: Final = 16  # no two equal among 2^64 challenges
KEY_BYTES: Final = 32

# A challenge fetched for a check-in that follows at once.
LIFETIME_S: Final = 60
# The next challenge rides on a reply and lives until the next check-in, which may be a day away and late.
MAX_LIFETIME_S: Final = 7 * 24 * 3600

_FETCHED: Final = b"\x01"
_IN_REPLY: Final = b"\x02"
_LABEL: Final = b"armillary challenge"
_HEAD_BYTES: Final = 1 + 5 + RANDOM_BYTES


class ChallengeId(NamedTuple):
    """Names a challenge that was answered. Keep ``id`` until ``expires_at`` (Unix seconds UTC)."""

    id: bytes
    expires_at: int


def mint(
    key: bytes, *, now: int, random: bytes, peer_key: bytes, lifetime_s: int = LIFETIME_S, in_reply: bool = False
) -> bytes:
    """Make a challenge.

    Args:
        key: The service's challenge key, 32 bytes, the same in all workers.
        now: Unix seconds UTC.
        random: 16 fresh random bytes.
        peer_key: DER SubjectPublicKeyInfo of the TLS client certificate.
        lifetime_s: Seconds it may be answered for, 1 to :data:`MAX_LIFETIME_S`.
        in_reply: Whether it is handed out with a recorded check-in.

    Raises:
        ValueError: an argument of the wrong size.
    """
    if len(random) != RANDOM_BYTES or len(key) != KEY_BYTES or not 0 < lifetime_s <= MAX_LIFETIME_S:
        raise ValueError("challenge: 16 random bytes, a key of 32 bytes and a lifetime of 1 s to 7 days are needed")
    head = (_IN_REPLY if in_reply else _FETCHED) + (now + lifetime_s).to_bytes(5, "big") + random
    return head + _mac(key, _LABEL + head + peer_key)


def open_challenge(key: bytes, challenge: bytes, *, now: int, peer_key: bytes) -> ChallengeId:
    """The id of a challenge that this service made for this peer (DER SubjectPublicKeyInfo) and that has not expired.

    ``key`` is as given to :func:`mint`, ``now`` Unix seconds UTC. ChallengeError for any other challenge.
    """
    if len(challenge) != CHALLENGE_BYTES:
        raise ChallengeError(f"challenge: expected {CHALLENGE_BYTES} bytes of this service, got {len(challenge)} bytes")
    head, mac = challenge[:_HEAD_BYTES], challenge[_HEAD_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, _LABEL + head + peer_key)):
        raise ChallengeError("challenge: expected one that this service made for this connection's key, got another")
    expires_at = int.from_bytes(head[1:6], "big")
    if now >= expires_at:
        raise ChallengeError(f"challenge: expected an answer before {expires_at}, got it at {now} (Unix seconds)")
    return ChallengeId(head[6:], expires_at)


def kept_challenge(key: bytes, challenge: bytes, *, peer_key: bytes) -> ChallengeId | None:
    """A challenge that rode on a reply, whatever its age; None for any other, and if we never gave it to this peer."""
    if not challenge.startswith(_IN_REPLY):
        return None
    try:
        return open_challenge(key, challenge, now=0, peer_key=peer_key)
    except ChallengeError:
        return None


def _mac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104), equal to ``hmac.digest``.

    OpenSSL 3 looks the algorithm up anew for every ``hmac.digest``, behind a lock: 9 us each in a server, two per
    check-in. Copies of two prepared hash states cost 1 us.
    """
    inner, outer = _keyed(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    digest: bytes = outer.digest()
    return digest


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> tuple[Any, Any]:
    """The two hash states after the key; a service has one key, of fewer bytes than SHA-256's block of 64."""
    block = key.ljust(64, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))
