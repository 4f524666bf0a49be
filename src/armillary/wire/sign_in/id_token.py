# SPDX-License-Identifier: Apache-2.0
"""Verifies ID tokens (OpenID Connect Core 1.0 §3.1.3.7) in numbered steps; each says what it prevents.

(1)  form       three parts, a bounded size            prevents: memory and time spent on what is no token
(2)  algorithm  one of ``metadata.ALGORITHMS``         prevents: ``none``, and a MAC keyed with the public key
(3)  key        the provider's, named by ``kid``,      prevents: a key that the token itself brings, and a key that
                which fits the algorithm                         is for another algorithm
(4)  signature  valid, and no critical header          prevents: forged tokens, and headers that we do not know
(5)  issuer     exactly the configured one             prevents: tokens of another provider or tenant
(6)  audience   our client alone, ``azp`` too          prevents: tokens that were made for another client
(7)  time       not ended, made just now               prevents: old tokens
(8)  nonce      of this browser's sign-in              prevents: a token that was taken from another sign-in
(9)  subject    1 to 255 ASCII characters              prevents: names that look alike
(10) at_hash    of the access token, where it is there prevents: an access token of somebody else
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.wire.encoding.base64url import from_base64url, to_base64url
from armillary.wire.sign_in.faults import SignInRefusedError, UnknownKeyError
from armillary.wire.sign_in.metadata import ALGORITHMS, ProviderKey, json_object

# A token with many groups in it is some 8 KiB.
MAX_TOKEN_CHARS: Final = 32 << 10
# How far the clocks of provider and service may be apart (seconds).
CLOCK_SKEW_S: Final = 120
# A token is used the moment it is made: one that is older was kept by somebody (seconds).
MAX_AGE_S: Final = 600
# OpenID Connect Core §2: at most 255 ASCII characters.
MAX_SUBJECT_CHARS: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an ID token has to be about."""

    issuer: str
    client_id: str
    nonce: str


def verify_id_token(
    token: str, keys: Sequence[ProviderKey], expected: Expected, *, now: int, access_token: str = ""
) -> Mapping[str, Any]:
    """The claims of an ID token, after all steps of the module's docstring. ``now`` is in Unix seconds.

    Raises:
        UnknownKeyError: no key of the provider has its ``kid``: they may have changed, so fetch them again.
        SignInRefusedError: a step failed; the message names it.
    """
    if len(token) > MAX_TOKEN_CHARS or token.count(".") != 2 or not token.isascii():
        raise _refused(1, f"expected three parts of at most {MAX_TOKEN_CHARS} characters")
    header = json_object(_decoded(token.partition(".")[0]), "the header of the ID token")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused(2, f"the algorithm {algorithm!a:.40} is not accepted; expected {', '.join(ALGORITHMS)}")
    key = _key_for(header.get("kid"), algorithm, keys)
    if "crit" in header:
        raise _refused(4, "it has critical headers (crit), of which none is known here")
    claims = json_object(_signed(token, key, algorithm), "the claims of the ID token")
    _check_about(claims, expected)
    _check_time(claims, now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise _refused(8, "it is not of this browser's sign-in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_subject(subject):
        raise _refused(9, f"sub: expected 1 to {MAX_SUBJECT_CHARS} printable ASCII characters")
    if access_token and "at_hash" in claims and claims["at_hash"] != _half_hash(access_token, algorithm):
        raise _refused(10, "it is not of the access token that came with it")
    return claims


def is_subject(text: str) -> bool:
    """Whether a text can be a subject (OpenID Connect Core §2)."""
    return 1 <= len(text) <= MAX_SUBJECT_CHARS and text.isascii() and text.isprintable() and text == text.strip()


def _key_for(key_id: object, algorithm: str, keys: Sequence[ProviderKey]) -> ProviderKey:
    """Step 3: the key that ``kid`` names; without a ``kid`` the only one that fits."""
    if key_id is not None and not isinstance(key_id, str):
        raise _refused(3, "kid: expected a text")
    fitting = [each for each in keys if (key_id is None or each.key_id == key_id) and each.takes(algorithm)]
    if not fitting:
        raise UnknownKeyError(f"ID token, step 3: no key of the provider for {algorithm} has the id {key_id!a:.80}")
    if len(fitting) > 1:
        raise _refused(3, f"{len(fitting)} keys of the provider fit; expected one that its kid names")
    return fitting[0]


def _signed(token: str, key: ProviderKey, algorithm: str) -> bytes:
    """Step 4: the payload, if the key has signed it."""
    from joserfc import jwk, jws  # noqa: PLC0415 - memory: services without a provider never load it
    from joserfc.errors import JoseError  # noqa: PLC0415 - as above

    try:
        imported = jwk.import_key(dict(key.jwk))
        return bytes(jws.deserialize_compact(token, imported, algorithms=[algorithm]).payload)
    except (JoseError, ValueError) as error:
        raise _refused(4, f"the signature is not valid ({type(error).__name__})") from error


def _check_about(claims: Mapping[str, Any], expected: Expected) -> None:
    """Steps 5 and 6."""
    if claims.get("iss") != expected.issuer:
        raise _refused(5, f"it is of the issuer {claims.get('iss')!a:.200}; expected {expected.issuer!r}")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in named:
        raise _refused(6, "it is for another client")
    if len(named) > 1 and "azp" not in claims:
        raise _refused(6, "it is for several clients and does not say for whom it was made (azp)")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise _refused(6, "it was made for another client (azp)")


def _check_time(claims: Mapping[str, Any], now: int) -> None:
    """Step 7."""
    ends, made, begins = (_seconds(claims, name) for name in ("exp", "iat", "nbf"))
    if ends is None or made is None:
        raise _refused(7, "it has no exp or no iat")
    if now >= ends + CLOCK_SKEW_S:
        raise _refused(7, f"it ended {now - ends:.0f} s ago")
    if made > now + CLOCK_SKEW_S or (begins is not None and begins > now + CLOCK_SKEW_S):
        raise _refused(7, "it is from the future; compare the clocks of provider and service")
    if made < now - MAX_AGE_S - CLOCK_SKEW_S:
        raise _refused(7, f"it was made {now - made:.0f} s ago")


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 40:
        raise _refused(7, f"{name}: expected Unix seconds")
    return value


def _half_hash(access_token: str, algorithm: str) -> str:
    """The left half of the token's hash, by the algorithm's hash (Core §3.1.3.6); EdDSA's is SHA-512."""
    bits = {"256": 256, "384": 384}.get(algorithm[-3:], 512)
    digest = hashlib.new(f"sha{bits}", access_token.encode("ascii", "replace")).digest()
    return to_base64url(digest[: len(digest) // 2])


def _decoded(part: str) -> bytes:
    try:
        return from_base64url(part)
    except ValueError as error:
        raise _refused(1, "expected base64url") from error


def _refused(step: int, why: str) -> SignInRefusedError:
    return SignInRefusedError(f"ID token, step {step}: {why}")
