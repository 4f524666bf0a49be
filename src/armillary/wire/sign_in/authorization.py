# SPDX-License-Identifier: Apache-2.0
"""What the browser carries to a provider and back (OpenID Connect Core 1.0 §3.1.2), and the code's exchange (§3.1.3).

A sign-in has no row anywhere: the browser keeps a sealed cookie with a random value, when it began and where it leads,
and everything secret (state, nonce, PKCE verifier) is made of that value under a key of this process. So strangers who
begin sign-ins without end take nothing, and a sign-in is bound to the browser that began it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.wire.encoding.base64url import from_base64url, to_base64url
from armillary.wire.sign_in.faults import ProviderError, SignInRefusedError
from armillary.wire.sign_in.metadata import ProviderMetadata, json_object

# Time for a password, a second factor and a look at a phone (seconds).
LIFETIME_S: Final = 900
# An authorization code: RFC 6749 says nothing, the largest known are below 3 KiB.
MAX_CODE_CHARS: Final = 4096
# The answer to a code: three tokens.
MAX_REPLY_BYTES: Final = 256 << 10
MAX_BACK_CHARS: Final = 1024

# Errors that a provider may lead the browser back with (RFC 6749 §4.1.2.1, Core §3.1.2.6) -> what is said of them. The
# provider's own words are not shown: they come in an address that anybody can write.
ERRORS: Final[Mapping[str, str]] = {
    "access_denied": "The provider did not let you in, or the sign-in was cancelled there.",
    "login_required": "The provider wants you to sign in there first.",
    "consent_required": "The provider needs your consent first.",
    "interaction_required": "The provider needs an answer of you first.",
    "temporarily_unavailable": "The provider cannot answer now. Try again in a minute.",
    "server_error": "The provider failed. Try again in a minute.",
}
_OTHER_ERROR: Final = "The provider refused the request. An administrator should compare the client's settings there."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in that was begun.

    Attributes:
        value: Random, of this attempt alone.
        begun: Unix seconds.
        back: Path of the console that it leads to.
    """

    value: str
    begun: int
    back: str

    def sealed(self, key: bytes) -> str:
        """The cookie."""
        text = ".".join((self.value, str(self.begun), to_base64url(self.back[:MAX_BACK_CHARS].encode())))
        return f"{text}.{_mac(key, 'cookie', text)}"

    def state(self, key: bytes) -> str:
        """The parameter ``state``."""
        return _mac(key, "state", self.value)

    def nonce(self, key: bytes) -> str:
        """The parameter ``nonce``."""
        return _mac(key, "nonce", self.value)

    def verifier(self, key: bytes) -> str:
        """The PKCE code verifier (RFC 7636 §4.1)."""
        return _mac(key, "verifier", self.value)


def opened(cookie: str, key: bytes, now: int) -> Attempt:
    """The attempt of a cookie.

    Raises:
        SignInRefusedError: there is none, it is not of this process, or it is over.
    """
    text, _, seal = cookie.rpartition(".")
    parts = text.split(".")
    if len(parts) != 3 or not hmac.compare_digest(_mac(key, "cookie", text).encode(), seal.encode()):
        raise SignInRefusedError(
            "this browser has not begun a sign-in here, or has begun another one since", remedy="Sign in again."
        )
    begun = int(parts[1])
    if not begun <= now <= begun + LIFETIME_S:
        raise SignInRefusedError("the sign-in took too long", remedy="Sign in again.")
    return Attempt(parts[0], begun, from_base64url(parts[2]).decode())


def authorization_address(
    provider: ProviderMetadata, attempt: Attempt, key: bytes, *, client_id: str, redirect: str, scopes: str
) -> str:
    """Where the browser is led: code flow with state, nonce and PKCE (S256)."""
    challenge = to_base64url(hashlib.sha256(attempt.verifier(key).encode()).digest())
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect,
        "scope": scopes,
        "state": attempt.state(key),
        "nonce": attempt.nonce(key),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return with_query(provider.authorization_endpoint, query)


def code_of(answer: Mapping[str, str], provider: ProviderMetadata, state: str) -> str:
    """The code with which a provider has led the browser back.

    Raises:
        SignInRefusedError: of another browser or another provider (RFC 9207), or an error.
    """
    if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
        raise SignInRefusedError("the answer belongs to another browser's sign-in (state)", remedy="Sign in again.")
    issuer = answer.get("iss")
    if issuer != provider.issuer and (issuer is not None or provider.names_issuer):
        raise SignInRefusedError(
            f"the answer is of the issuer {issuer!a:.100}, expected {provider.issuer!r} (RFC 9207)",
            remedy="Somebody mixes up providers: tell an administrator.",
        )
    if "error" in answer:
        raise SignInRefusedError(ERRORS.get(answer["error"], _OTHER_ERROR).rstrip("."), remedy="Sign in again.")
    code = answer.get("code", "")
    if not 0 < len(code) <= MAX_CODE_CHARS or not code.isascii() or not code.isprintable():
        raise SignInRefusedError("the answer of the provider has no code", remedy="Sign in again.")
    return code


@dataclass(frozen=True, slots=True)
class Exchange:
    """The request that gets tokens for a code: headers and form (RFC 6749 §4.1.3, §2.3.1)."""

    headers: Mapping[str, str]
    body: bytes


def exchange_of(
    provider: ProviderMetadata, code: str, verifier: str, *, client_id: str, secret: str, redirect: str
) -> Exchange:
    """The request for a code; ``secret`` is "" for a public client, which PKCE alone protects."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
    headers = {"Accept": "application/json"}
    if secret and provider.takes_basic:
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
    return Exchange(headers, urlencode(form).encode())


def parse_tokens(status: int, body: bytes) -> tuple[str, str]:
    """The ID token and the access token ("" for none) of a provider's answer to a code.

    Raises:
        SignInRefusedError: it refused the code.
        ProviderError: it failed, or answered something else.
    """
    if status in (400, 401):
        try:
            said = str(json_object(body, "the provider's answer").get("error", ""))
        except ProviderError:
            said = ""
        if said == "invalid_grant":
            raise SignInRefusedError("the provider does not take this code: it was used, or is over")
        raise ProviderError(f"the provider refuses this service as its client ({said!a:.40})")
    if status != 200:
        raise ProviderError(f"the provider answered {status} to the code")
    found: dict[str, Any] = json_object(body, "the provider's answer to the code")
    token, access = found.get("id_token"), found.get("access_token", "")
    if not isinstance(token, str) or not isinstance(access, str):
        raise ProviderError("the provider's answer has no ID token; the scope openid may be missing there")
    return token, access


def sign_out_address(provider: ProviderMetadata, *, client_id: str, redirect: str) -> str:
    """Where a browser signs out at the provider (RP-Initiated Logout 1.0 §2); "" where it offers none."""
    if not provider.end_session_endpoint:
        return ""
    query = {"client_id": client_id, "post_logout_redirect_uri": redirect}
    return with_query(provider.end_session_endpoint, query)


def with_query(address: str, query: Mapping[str, str]) -> str:
    """An address with parameters added to those that it has."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def _mac(key: bytes, what: str, text: str) -> str:
    return to_base64url(hmac.digest(key, f"{what}:{text}".encode(), "sha256"))
