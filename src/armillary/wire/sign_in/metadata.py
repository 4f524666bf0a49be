# SPDX-License-Identifier: Apache-2.0
"""What a provider says of itself (OpenID Connect Discovery 1.0 §3 and §4.3), and its keys (RFC 7517 §5).

Both come from outside: they are bounded, and what is not understood is refused or passed over, never guessed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.wire.sign_in.faults import ProviderError
from armillary.wire.text.web_address import split_web_address

# A document of a provider with every optional member is some 5 KiB; a set of a few keys with certificates 20 KiB.
MAX_METADATA_BYTES: Final = 64 << 10
MAX_KEY_SET_BYTES: Final = 128 << 10
# A provider has a key or two for each algorithm while it rotates; large tenants of shared ones have a dozen.
MAX_KEYS: Final = 64
MAX_KEY_ID_CHARS: Final = 256
# Larger RSA keys cost seconds to verify with; smaller ones can be broken (NIST SP 800-131A).
RSA_BITS: Final = (2048, 8192)
# Where discovery is found below the issuer (Discovery §4).
WELL_KNOWN: Final = "/.well-known/openid-configuration"

# Algorithm -> type and, for curves, the curve of the key that it takes (RFC 7518 §3.1, RFC 8037 §3.1). Nothing else is
# accepted: neither ``none`` nor a MAC, whose key would be a secret of both sides.
ALGORITHMS: Final[Mapping[str, tuple[str, str]]] = {
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "RS512": ("RSA", ""),
    "PS256": ("RSA", ""),
    "PS384": ("RSA", ""),
    "PS512": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),  # the same under its newer name (RFC 9864)
}
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """What this service needs of a provider's metadata; the addresses are https."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str  # "" for none
    end_session_endpoint: str  # "" for none (RP-Initiated Logout 1.0 §2.1)
    names_issuer: bool  # Whether its answers to the browser name it (RFC 9207 §3)
    takes_basic: bool  # Whether clients send their secret in the Authorization header, else in the form


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A public key that ID tokens are verified with: ``jwk`` has the members of its type alone."""

    key_id: str  # "" for none
    algorithm: str  # The only one that it is for; "" for all of its type
    jwk: Mapping[str, str]

    def takes(self, algorithm: str) -> bool:
        """Whether signatures of an algorithm of :data:`ALGORITHMS` may be verified with it."""
        kind, curve = ALGORITHMS[algorithm]
        fits = self.jwk["kty"] == kind and (not curve or self.jwk["crv"] == curve)
        return fits and self.algorithm in ("", algorithm)


def parse_metadata(document: bytes, issuer: str) -> ProviderMetadata:
    """The metadata that was fetched for ``issuer``.

    Raises:
        ProviderError: not JSON, of another issuer, or without what sign-in needs.
    """
    found = json_object(document, "the provider's metadata")
    if found.get("issuer") != issuer:
        raise ProviderError(
            f"the provider's metadata is of the issuer {found.get('issuer')!a:.200}, expected {issuer!r}",
            remedy="Set oidc_issuer exactly as the provider writes it, with or without the slash at its end.",
        )
    methods = found.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise ProviderError("the provider's metadata says that it does not take PKCE with S256")
    ways = found.get("token_endpoint_auth_methods_supported")
    return ProviderMetadata(
        issuer=issuer,
        authorization_endpoint=_address(found, "authorization_endpoint"),
        token_endpoint=_address(found, "token_endpoint"),
        jwks_uri=_address(found, "jwks_uri"),
        userinfo_endpoint=_address(found, "userinfo_endpoint", optional=True),
        end_session_endpoint=_address(found, "end_session_endpoint", optional=True),
        names_issuer=found.get("authorization_response_iss_parameter_supported") is True,
        takes_basic=not isinstance(ways, list) or "client_secret_basic" in ways,  # the default of Discovery §3
    )


def parse_key_set(document: bytes) -> tuple[ProviderKey, ...]:
    """The keys of a set that ID tokens may be verified with; others in it are passed over (RFC 7517 §5).

    Raises:
        ProviderError: not a key set, or more than :data:`MAX_KEYS`.
    """
    keys = json_object(document, "the provider's key set").get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise ProviderError(f"the provider's key set: expected a list of at most {MAX_KEYS} keys")
    found = (_key(each) for each in keys)
    return tuple(each for each in found if each is not None)


def json_object(document: bytes, what: str) -> dict[str, Any]:
    """The JSON object of a document, each member of which is there once; raises ProviderError if it is none."""
    try:
        found = json.loads(document, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ProviderError(f"{what}: expected JSON, each name once") from error
    if not isinstance(found, dict):
        raise ProviderError(f"{what}: expected a JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _address(found: Mapping[str, Any], name: str, *, optional: bool = False) -> str:
    value = found.get(name)
    if optional and value is None:
        return ""
    try:
        if not isinstance(value, str) or split_web_address(value).scheme != "https" or "#" in value:
            raise ValueError  # noqa: TRY301 - one refusal for every fault of it
    except ValueError as error:
        raise ProviderError(
            f"the provider's metadata: {name}: expected an https address, got {value!a:.100}"
        ) from error
    return value


def _key(each: object) -> ProviderKey | None:
    """A key of a set; None where it is for something else, or of a kind that is not accepted."""
    if not isinstance(each, dict) or each.get("use", "sig") != "sig":
        return None
    uses, kind, algorithm, key_id = each.get("key_ops"), each.get("kty"), each.get("alg", ""), each.get("kid", "")
    if not isinstance(kind, str) or not isinstance(key_id, str) or len(key_id) > MAX_KEY_ID_CHARS:
        return None
    is_for_this = not isinstance(uses, list) or "verify" in uses
    if not is_for_this or kind not in _MEMBERS or algorithm not in ("", *ALGORITHMS):
        return None
    jwk = {name: each.get(name) for name in _MEMBERS[kind]}
    is_whole = all(isinstance(value, str) for value in jwk.values())
    if not is_whole or (kind == "RSA" and not RSA_BITS[0] <= _bits(str(jwk["n"])) <= RSA_BITS[1]):
        return None
    return ProviderKey(key_id, algorithm, {"kty": kind, **{name: str(value) for name, value in jwk.items()}})


def _bits(number: str) -> int:
    """Bits of a Base64urlUInt (RFC 7518 §2); 0 for a text that is none."""
    try:
        return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length()
    except (ValueError, binascii.Error):
        return 0
