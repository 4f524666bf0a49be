# SPDX-License-Identifier: Apache-2.0
"""Evidence and endorsement: two EATs (RFC 9711) in COSE_Sign1 that say what a device runs.

The *endorsement* is made once per boot by the boot ROM with the device identity key: "the device with this
identity measured this log head in boot number N and holds this alias key". The *evidence* is made for every
check-in with the alias key: "asked this challenge by this service, I run this and want a certificate for that
key". Both carry CWT claims with integer keys; the reader accepts exactly the keys listed.

======  ==================  ========  ===========  ===========================================================
key     claim               evidence  endorsement  value
======  ==================  ========  ===========  ===========================================================
3       aud (RFC 8392)      yes                    name of the service the evidence is made for
8       cnf (RFC 8747)      yes       yes          {1: COSE_Key}: new client key; alias key
10      eat_nonce           yes                    the challenge, 8 to 64 bytes
256     ueid                yes       yes          01 || SHA-256(device id), type RAND
258     oemid               yes                    :data:`OEM_ID`, random type, 16 bytes
259     hwmodel             yes                    name of the chip profile, UTF-8
265     eat_profile         yes       yes          :data:`EVIDENCE_PROFILE`, :data:`ENDORSEMENT_PROFILE`
267     bootcount           yes       yes          boots since manufacture
270     swname              yes                    :data:`OS_NAME`
271     swversion           yes                    [version]
-70001  device id           yes       yes          X || Y of the device identity key, 64 bytes
-70002  log head            yes       yes          head of the event log, 32 bytes
-70003  root of trust       yes                    "software", "tpm2" or "simulated"
-70004  enforcement         yes                    [* [mechanism, "enforced" or "missing: why"]]
-70005  sandbox             yes                    name of the sandbox that ran the self-test
-70006  report digest       yes                    SHA-256 of the check-in request's report
======  ==================  ========  ===========  ===========================================================

Keys below -65536 are for private use (RFC 8392 §9.1). The device id does not fit a UEID (at most 33 bytes,
RFC 9711 §4.2.1), hence its digest there and the id itself in a private claim.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.wire.attestation.event_log import DIGEST_BYTES
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_choice, take_map, take_text, take_uint
from armillary.wire.encoding.cose import (
    ES256_PROTECTED,
    SPKI_PREFIX,
    UnverifiedSign1,
    encode_sign1,
    parse_sign1,
    point_from_spki,
    spki_from_point,
)

EVIDENCE_PROFILE: Final = "urn:armillary:evidence:1"
ENDORSEMENT_PROFILE: Final = "urn:armillary:endorsement:1"
OS_NAME: Final = "armillary-os"
# oemid of the random type (RFC 9711 §4.2.3.1): made once at random for Armillary's software platform.
OEM_ID: Final = bytes.fromhex("8f2c51d7a94e4b60b3e6d01c7f5a2b94")

ROOTS_OF_TRUST: Final = frozenset({"software", "tpm2", "simulated"})
ENFORCED: Final = "enforced"
MISSING_PREFIX: Final = "missing: "

MIN_CHALLENGE_BYTES: Final = 8  # eat_nonce, RFC 9711 §4.1
MAX_CHALLENGE_BYTES: Final = 64
DEVICE_ID_BYTES: Final = 64
MAX_SERVICE_NAME_BYTES: Final = 253  # a DNS name
MAX_CHIP_BYTES: Final = 32  # hwmodel, RFC 9711 §4.2.4
MAX_OS_VERSION_BYTES: Final = 64
MAX_SANDBOX_BYTES: Final = 32
MAX_MECHANISMS: Final = 32  # the Linux sandbox reports 9
MAX_MECHANISM_BYTES: Final = 64
MAX_ENFORCEMENT_BYTES: Final = 256  # a sentence why a mechanism is missing
# Items of CBOR in evidence or an endorsement: the largest evidence has 140. A multiple of it, so that the usual ones,
# which have fewer bytes than this, are not counted.
MAX_CLAIM_ITEMS: Final = 1024
MAX_BOOT_COUNT: Final = 2**48  # at one boot per microsecond, nine years

# Devices whose unchanging claims are cached, 1.6 KB each. Where more check in again and again at the same time,
# claims are read strictly each time: a check-in then costs a third more.
CLAIMS_CACHE_ENTRIES: Final = 256

# Where the changing contents stand in a payload: b0 03 aud, 08 a1 01 a4 01 02 20 01 21 5820 X 22 5820 Y, 0a 5836
# challenge, ..., 5820 report digest at the end.
_TO_X: Final = 14  # after an empty aud
_X_TO_Y: Final = 35
_X_TO_CHALLENGE: Final = 70
_Y_HEAD: Final = b"\x22\x58\x20"
_USUAL_CHALLENGE_BYTES: Final = 54
_CHALLENGE_HEAD: Final = b"\x0a\x58\x36"
_ZERO: Final = bytes(32)
_ZERO_CHALLENGE: Final = bytes(_USUAL_CHALLENGE_BYTES)

_UEID_RAND: Final = b"\x01"  # RFC 9711 §4.2.1.1: a number that is unique by its size, here a digest
_EVIDENCE_KEYS: Final = (3, 8, 10, 256, 258, 259, 265, 267, 270, 271, *range(-70001, -70007, -1))
_ENDORSEMENT_KEYS: Final = (8, 256, 265, 267, -70001, -70002)
_EC2: Final = 2  # COSE_Key kty and crv (RFC 9053 §7.1)
_P256: Final = 1


class Evidence(NamedTuple):
    """The claims of evidence."""

    challenge: bytes  # of the service, 8 to 64 bytes
    device_id: str  # 128 lower-case hex digits
    boot_count: int  # since manufacture
    log_head: bytes  # of the event log, 32 bytes
    certificate_key: bytes  # new P-256 client key to certify, DER SubjectPublicKeyInfo
    service_name: str  # of the service that this evidence is for
    chip: str  # chip profile, 1 to 32 bytes
    root_of_trust: str  # ``software``, ``tpm2`` or ``simulated``: what the device claims, never its trust tier
    enforcement: tuple[tuple[str, str], ...]  # (mechanism, ``enforced`` or ``missing: why``)
    sandbox: str  # its name; its self-test gave ``enforcement``
    os_version: str
    report_digest: bytes  # SHA-256 of the report that is sent with it (``encode_report`` of ``checkin.py``)


class Endorsement(NamedTuple):
    """What the boot ROM says about one boot, signed with the device identity key.

    A boot has one endorsement, which is kept: two different ones with the same boot count reveal a copied device.
    """

    device_id: str  # 128 lower-case hex digits
    alias_key: bytes  # of this boot, X || Y, 64 bytes
    log_head: bytes  # of the event log, 32 bytes
    boot_count: int  # since manufacture


class UnverifiedEvidence(NamedTuple):
    """Parsed evidence whose signature is not verified."""

    message: UnverifiedSign1
    claims: Evidence


class UnverifiedEndorsement(NamedTuple):
    """A parsed endorsement whose signature is not verified."""

    message: UnverifiedSign1
    claims: Endorsement


def encode_evidence(evidence: Evidence, alias_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Sign evidence with the alias key of this boot; raises WireError for a field out of its limits."""
    device_id = _device_id_bytes(evidence.device_id)
    payload = cbor.encode_ordered(
        {
            3: evidence.service_name,
            8: _confirmation(point_from_spki(evidence.certificate_key)),
            10: evidence.challenge,
            256: ueid(device_id),
            258: OEM_ID,
            259: evidence.chip.encode(),
            265: EVIDENCE_PROFILE,
            267: evidence.boot_count,
            270: OS_NAME,
            271: [evidence.os_version],
            -70001: device_id,
            -70002: evidence.log_head,
            -70003: evidence.root_of_trust,
            -70004: [list(pair) for pair in evidence.enforcement],
            -70005: evidence.sandbox,
            -70006: evidence.report_digest,
        }
    )
    _evidence_claims(payload)
    return encode_sign1(payload, alias_key)


def parse_evidence(data: bytes) -> UnverifiedEvidence:
    """Parse evidence without verifying its signature; raises WireError if it is not of this profile."""
    message = _parse_message(data, "evidence")
    return UnverifiedEvidence(message, _known_claims(message.payload) or _evidence_claims(message.payload))


def encode_endorsement(endorsement: Endorsement, identity_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Sign an endorsement with the device identity key; raises WireError for a field out of its limits."""
    device_id = _device_id_bytes(endorsement.device_id)
    payload = cbor.encode_ordered(
        {
            8: _confirmation(endorsement.alias_key),
            256: ueid(device_id),
            265: ENDORSEMENT_PROFILE,
            267: endorsement.boot_count,
            -70001: device_id,
            -70002: endorsement.log_head,
        }
    )
    _endorsement_claims(payload)
    return encode_sign1(payload, identity_key)


def parse_endorsement(data: bytes) -> UnverifiedEndorsement:
    """Parse an endorsement without verifying its signature; raises WireError if it is not of this profile."""
    message = _parse_message(data, "endorsement")
    return UnverifiedEndorsement(message, _endorsement_claims(message.payload))


def ueid(device_id: bytes) -> bytes:
    """The UEID of a device: type RAND and the SHA-256 of its 64-byte id, 33 bytes (RFC 9711 §4.2.1)."""
    return _UEID_RAND + sha256(device_id).digest()


def _parse_message(data: bytes, what: str) -> UnverifiedSign1:
    message = parse_sign1(data, what=what, items=MAX_CLAIM_ITEMS)
    if message.protected != ES256_PROTECTED or message.unprotected:
        raise WireError(
            what, expected="protected header {1: -7} and an empty unprotected header", got="other header parameters"
        )
    return message


def _known_claims(payload: bytes) -> Evidence | None:
    """The claims, read with the cached claims of this device; None for an unusual form.

    From check-in to check-in of one boot only the challenge, the new key and the report digest change: byte
    strings of fixed size of which every content is well formed. So the payload with those contents zeroed has
    the same structure and the same other claims, and those are read strictly once and cached.
    """
    if len(payload) < _TO_X:
        return None
    aud_bytes = payload[2] - 0x60 if payload[2] < 0x78 else payload[3] + 1  # its head is 60+n, or 78 n
    x = aud_bytes + _TO_X
    challenge = x + _X_TO_CHALLENGE
    after = challenge + _USUAL_CHALLENGE_BYTES
    y, digest = x + _X_TO_Y, len(payload) - DIGEST_BYTES
    if payload[x + 32 : y] != _Y_HEAD or payload[y + 32 : challenge] != _CHALLENGE_HEAD or after > digest:
        return None
    known = _cached_claims(
        b"".join((payload[:x], _ZERO, _Y_HEAD, _ZERO, _CHALLENGE_HEAD, _ZERO_CHALLENGE, payload[after:digest], _ZERO))
    )
    # In the order of Evidence's fields; by name it would take twice as long.
    return Evidence(
        payload[challenge:after],
        known.device_id,
        known.boot_count,
        known.log_head,
        b"".join((SPKI_PREFIX, payload[x : x + 32], payload[y : y + 32])),
        known.service_name,
        known.chip,
        known.root_of_trust,
        known.enforcement,
        known.sandbox,
        known.os_version,
        payload[digest:],
    )


def _decoded(payload: bytes, what: str) -> Any:
    return cbor.decode(payload, what=what, limit=len(payload), items=MAX_CLAIM_ITEMS)


def _evidence_claims(payload: bytes) -> Evidence:
    claims = take_map(_decoded(payload, "evidence"), _EVIDENCE_KEYS, "evidence")
    device_id = _subject(claims, EVIDENCE_PROFILE, "evidence")
    if claims[258] != OEM_ID or claims[270] != OS_NAME:
        raise WireError("evidence", expected="Armillary's oemid and swname", got="another platform's")
    challenge = take_bytes(claims[10], "evidence eat_nonce", limit=MAX_CHALLENGE_BYTES)
    if len(challenge) < MIN_CHALLENGE_BYTES:
        raise WireError(
            "evidence eat_nonce", expected=f"at least {MIN_CHALLENGE_BYTES} bytes", got=f"{len(challenge)} bytes"
        )
    enforcement = take_array(claims[-70004], "evidence enforcement", limit=MAX_MECHANISMS)
    (version,) = take_array(claims[271], "evidence swversion", limit=1, size=1)
    return Evidence(
        challenge=challenge,
        device_id=device_id,
        boot_count=take_uint(claims[267], "evidence bootcount", limit=MAX_BOOT_COUNT),
        log_head=take_bytes(claims[-70002], "evidence log head", size=DIGEST_BYTES),
        certificate_key=spki_from_point(_confirmed_point(claims[8], "evidence cnf")),
        service_name=take_text(claims[3], "evidence aud", limit=MAX_SERVICE_NAME_BYTES),
        chip=_chip(claims[259]),
        root_of_trust=take_choice(claims[-70003], ROOTS_OF_TRUST, "evidence root of trust"),
        enforcement=tuple(_mechanism(item) for item in enforcement),
        sandbox=take_text(claims[-70005], "evidence sandbox", limit=MAX_SANDBOX_BYTES),
        os_version=take_text(version, "evidence swversion", limit=MAX_OS_VERSION_BYTES),
        report_digest=take_bytes(claims[-70006], "evidence report digest", size=DIGEST_BYTES),
    )


def _endorsement_claims(payload: bytes) -> Endorsement:
    claims = take_map(_decoded(payload, "endorsement"), _ENDORSEMENT_KEYS, "endorsement")
    return Endorsement(
        device_id=_subject(claims, ENDORSEMENT_PROFILE, "endorsement"),
        alias_key=_confirmed_point(claims[8], "endorsement cnf"),
        log_head=take_bytes(claims[-70002], "endorsement log head", size=DIGEST_BYTES),
        boot_count=take_uint(claims[267], "endorsement bootcount", limit=MAX_BOOT_COUNT),
    )


_cached_claims = lru_cache(maxsize=CLAIMS_CACHE_ENTRIES)(_evidence_claims)


def _subject(claims: dict[int, Any], profile: str, what: str) -> str:
    """The device id, after eat_profile and ueid were found to be those that belong to it."""
    if claims[265] != profile:
        raise WireError(f"{what} eat_profile", expected=profile, got=f"{claims[265]!r:.80}")
    device_id = take_bytes(claims[-70001], f"{what} device id", size=DEVICE_ID_BYTES)
    if claims[256] != ueid(device_id):
        raise WireError(f"{what} ueid", expected="01 and the SHA-256 of the device id", got="another value")
    return device_id.hex()


def _confirmation(point: bytes) -> dict[int, Any]:
    """A ``cnf`` claim with a COSE_Key (RFC 8747 §3.2)."""
    return {1: {1: _EC2, -1: _P256, -2: point[:32], -3: point[32:]}}


def _confirmed_point(value: Any, what: str) -> bytes:
    key = take_map(take_map(value, (1,), what)[1], (1, -1, -2, -3), what)
    if key[1] != _EC2 or key[-1] != _P256 or type(key[1]) is not int or type(key[-1]) is not int:
        raise WireError(what, expected="a COSE_Key of kty EC2 on P-256", got="another key type")
    return take_bytes(key[-2], what, size=32) + take_bytes(key[-3], what, size=32)


def _chip(value: Any) -> str:
    name = take_bytes(value, "evidence hwmodel", limit=MAX_CHIP_BYTES)
    if not name:
        raise WireError("evidence hwmodel", expected="the name of a chip profile", got="no bytes")
    try:
        return take_text(name.decode(), "evidence hwmodel", limit=MAX_CHIP_BYTES)
    except UnicodeDecodeError as error:
        raise WireError("evidence hwmodel", expected="UTF-8", got="other bytes") from error


def _mechanism(value: Any) -> tuple[str, str]:
    name, state = take_array(value, "evidence enforcement", limit=2, size=2)
    take_text(name, "evidence mechanism", limit=MAX_MECHANISM_BYTES)
    take_text(state, "evidence mechanism", limit=MAX_ENFORCEMENT_BYTES)
    if state != ENFORCED and not state.startswith(MISSING_PREFIX):
        raise WireError("evidence mechanism", expected="'enforced' or 'missing: why'", got=f"{state!r:.60}")
    return name, state


def _device_id_bytes(device_id: str) -> bytes:
    try:
        raw = bytes.fromhex(device_id)
    except ValueError as error:
        raise WireError("device id", expected="128 hex digits", got=f"{device_id!r:.20}...") from error
    if len(raw) != DEVICE_ID_BYTES or raw.hex() != device_id:
        raise WireError("device id", expected="128 lower-case hex digits", got=f"{len(device_id)} characters")
    return raw
