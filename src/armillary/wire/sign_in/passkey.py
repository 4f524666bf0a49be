# SPDX-License-Identifier: Apache-2.0
"""Passkeys: what a browser is asked for, and its answers verified (WebAuthn Level 2 §7.1 and §7.2) in numbered steps.

(1)  form       JSON, base64url, bounded sizes          prevents: memory and time spent on what is no answer
(2)  type       ``webauthn.create`` or ``webauthn.get`` prevents: an answer to the other question
(3)  challenge  the one of this question                prevents: replayed answers, and those of another browser
(4)  origin     exactly the console's, not in a frame   prevents: answers that another site has asked for
                of another site
(5)  RP id      the console's host                      prevents: a key that was made for another site
(6)  presence   the user was there                      prevents: answers without anybody's touch
(7)  user       verified by PIN, finger or face         prevents: a found or stolen key that anybody can touch
(8)  key        registered for the token; at            prevents: keys of others, and keys that can verify nothing
                registration of an accepted algorithm
(9)  owner      the user handle, where one is sent      prevents: a key that was made for another token
(10) signature                                          prevents: forged answers
(11) count      above the last one, where it counts     prevents: copies of a key

Who made the authenticator is not asked (attestation ``none``): it would keep out keys of makers that nobody listed, and
the person is trusted with the choice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.webauthn import AttestationObject, AuthenticatorData

from armillary.errors import ConflictError
from armillary.wire.encoding.base64url import from_base64url, to_base64url
from armillary.wire.sign_in.faults import SignInRefusedError

# ECDSA with P-256, Ed25519, RSA PKCS #1 with SHA-256 (older TPMs of Windows): what all authenticators have one of.
ALGORITHMS: Final = (-7, -8, -257)
# WebAuthn §5.8.3 bounds an id to 1023 bytes; an answer is its client data, authenticator data and a signature.
MAX_CREDENTIAL_BYTES: Final = 1023
MAX_KEY_BYTES: Final = 2048
MAX_ANSWER_CHARS: Final = 16 << 10
# A public exponent of more than 64 bits, or a larger modulus, makes each signature slow to verify.
RSA_BYTES: Final = (256, 512)
MAX_EXPONENT_BYTES: Final = 8
# How long a browser waits for the person (milliseconds).
TIMEOUT_MS: Final = 120_000

# Whatever fido2 raises at what is no authenticator data, CBOR or key.
_UNREADABLE: Final = (
    ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError,
    NotImplementedError, struct.error, UnsupportedAlgorithm,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Party:
    """Where passkeys are for: the host (RP id) and the origin that a browser has to name."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A registered passkey, as far as verifying needs it.

    Attributes:
        credential_id: What the authenticator knows it by.
        public_key: COSE_Key (RFC 9052 §7).
        sign_count: The count of its last answer; 0 for one that does not count.
    """

    credential_id: bytes
    public_key: bytes
    sign_count: int


def party_of(address: str) -> Party:
    """The party of the console's address, ``https://HOST`` or ``https://HOST:PORT``.

    Raises:
        ConflictError: the host is an IP address, for which browsers make no passkeys (WebAuthn §5.1.2).
    """
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    try:
        ip_address(host)
    except ValueError:
        port = "" if parts.port in (None, 443) else f":{parts.port}"
        return Party(host, f"https://{host}{port}")
    raise ConflictError(
        f"passkeys need a host name, and people open this console at the address {host}",
        remedy="Set public_host, or console_address, to a name, and start the service again.",
    )


def creation_options(
    party: Party, challenge: bytes, *, user_id: bytes, user_name: str, known: Sequence[bytes]
) -> dict[str, Any]:
    """What a browser makes a passkey of: ``PublicKeyCredentialCreationOptionsJSON``, none of ``known`` once more."""
    return {
        "rp": {"id": party.rp_id, "name": "Armillary"},
        "user": {"id": to_base64url(user_id), "name": user_name, "displayName": user_name},
        "challenge": to_base64url(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": each} for each in ALGORITHMS],
        "timeout": TIMEOUT_MS,
        "attestation": "none",
        "excludeCredentials": _descriptors(known),
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "required"},
    }


def request_options(party: Party, challenge: bytes, known: Sequence[bytes]) -> dict[str, Any]:
    """What a browser signs with one of the ``known`` passkeys: ``PublicKeyCredentialRequestOptionsJSON``."""
    return {
        "rpId": party.rp_id,
        "challenge": to_base64url(challenge),
        "timeout": TIMEOUT_MS,
        "allowCredentials": _descriptors(known),
        "userVerification": "required",
    }


def verify_registration(answer: str, party: Party, challenge: bytes) -> KnownKey:
    """The new passkey of a browser's answer (``RegistrationResponseJSON``), after the steps of the docstring.

    Raises:
        SignInRefusedError: a step failed; the message names it.
    """
    response = _response(answer)
    _check_client_data(_bytes(response, "clientDataJSON"), "webauthn.create", party, challenge)
    try:
        data = AttestationObject(_bytes(response, "attestationObject")).auth_data
        made = data.credential_data
    except _UNREADABLE as error:
        raise _refused(1, "attestationObject: expected CBOR with authenticator data") from error
    _check_data(data, party)
    if made is None or not 1 <= len(made.credential_id) <= MAX_CREDENTIAL_BYTES:
        raise _refused(8, "it has no key with an id of at most 1,023 bytes")
    _check_key(made.public_key)
    return KnownKey(bytes(made.credential_id), cbor.encode(dict(made.public_key)), data.counter)


def verify_assertion(
    answer: str, party: Party, challenge: bytes, *, known: Sequence[KnownKey], user_id: bytes
) -> tuple[KnownKey, int]:
    """The passkey that has signed a browser's answer (``AuthenticationResponseJSON``), and its new count.

    Raises:
        SignInRefusedError: a step of the docstring failed; the message names it.
    """
    response = _response(answer)
    client_data = _bytes(response, "clientDataJSON")
    _check_client_data(client_data, "webauthn.get", party, challenge)
    raw = _bytes(response, "authenticatorData")
    try:
        data = AuthenticatorData(raw)
    except _UNREADABLE as error:
        raise _refused(1, "authenticatorData: expected authenticator data") from error
    _check_data(data, party)
    wanted = _bytes(response, "rawId")
    key = next((each for each in known if hmac.compare_digest(each.credential_id, wanted)), None)
    if key is None:
        raise _refused(8, "this passkey is not registered for the token")
    if response.get("userHandle") and not hmac.compare_digest(_bytes(response, "userHandle"), user_id):
        raise _refused(9, "this passkey was made for another token")
    try:
        kept = cbor.decode(key.public_key)
        cose = CoseKey.parse(kept if isinstance(kept, dict) else {})
        cose.verify(raw + hashlib.sha256(client_data).digest(), _bytes(response, "signature"))
    except (InvalidSignature, *_UNREADABLE) as error:
        raise _refused(10, "the signature is not the passkey's") from error
    if (data.counter or key.sign_count) and data.counter <= key.sign_count:
        raise _refused(
            11, f"its count is {data.counter} after {key.sign_count}: the key may have been copied. Remove this passkey"
        )
    return key, data.counter


def _response(answer: str) -> Mapping[str, Any]:
    """The members of the answer's response, with ``rawId`` beside them."""
    if len(answer) > MAX_ANSWER_CHARS:
        raise _refused(1, f"expected an answer of at most {MAX_ANSWER_CHARS:,} characters")
    found = _json(answer, "the answer")
    response = found.get("response")
    if not isinstance(response, dict) or found.get("type") != "public-key":
        raise _refused(1, "expected the answer of a passkey")
    return {**response, "rawId": found.get("rawId")}


def _check_client_data(data: bytes, kind: str, party: Party, challenge: bytes) -> None:
    """Steps 2 to 4."""
    said = _json(data, "clientDataJSON")
    if said.get("type") != kind:
        raise _refused(2, f"type: expected {kind}, got {said.get('type')!a:.40}")
    if not hmac.compare_digest(str(said.get("challenge")).encode("utf-8", "replace"), to_base64url(challenge).encode()):
        raise _refused(3, "it answers another question than that of this page")
    if said.get("origin") != party.origin:
        raise _refused(4, f"origin: expected {party.origin}, got {said.get('origin')!a:.100}")
    if said.get("crossOrigin") not in (None, False):
        raise _refused(4, "it was asked for in a frame of another site")


def _check_data(data: AuthenticatorData, party: Party) -> None:
    """Steps 5 to 7."""
    if not hmac.compare_digest(data.rp_id_hash, hashlib.sha256(party.rp_id.encode()).digest()):
        raise _refused(5, f"the passkey is for another site than {party.rp_id}")
    if not data.is_user_present():
        raise _refused(6, "nobody has touched the key")
    if not data.is_user_verified():
        raise _refused(7, "the key has not asked for a PIN, a finger or a face; choose one that does, or set a PIN")


def _check_key(key: CoseKey) -> None:
    """Step 8 at registration: of an accepted algorithm, bounded, and able to verify."""
    if key.ALGORITHM not in ALGORITHMS:
        raise _refused(8, f"algorithm {key.get(3)!a:.20} is not accepted")
    try:
        if key.ALGORITHM == -257 and not (
            RSA_BYTES[0] <= len(key[-1]) <= RSA_BYTES[1] and len(key[-2]) <= MAX_EXPONENT_BYTES
        ):
            raise _refused(8, "the RSA key has a size that is not accepted")
        if len(cbor.encode(dict(key))) > MAX_KEY_BYTES:
            raise _refused(8, "the key is too large")
        key.verify(b"", b"")
    except InvalidSignature:
        return
    except _UNREADABLE as error:
        raise _refused(8, "the key is damaged") from error
    raise _refused(8, "the key takes an empty signature")


def _json(document: str | bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise _refused(1, f"{what}: expected JSON") from error
    if not isinstance(found, dict):
        raise _refused(1, f"{what}: expected a JSON object")
    return found


def _bytes(found: Mapping[str, Any], name: str) -> bytes:
    value = found.get(name)
    try:
        if isinstance(value, str) and value:
            return from_base64url(value)
    except ValueError:
        pass
    raise _refused(1, f"{name}: expected base64url")


def _descriptors(known: Sequence[bytes]) -> list[dict[str, str]]:
    return [{"type": "public-key", "id": to_base64url(each)} for each in known]


def _refused(step: int, why: str) -> SignInRefusedError:
    return SignInRefusedError(
        f"passkey, step {step}: {why}", remedy="Try again. Without the passkey, use a recovery code."
    )
