# SPDX-License-Identifier: Apache-2.0
"""The sign-in provider: OpenID Connect's authorization code flow with PKCE, as its client.

*Calls* go to the addresses that the issuer's metadata names: over TLS that is checked, to the issuer's own host
whatever its address, to other hosts only where their address is public (``engines/outbound``). Metadata and keys are
kept for an hour; a key that is not among them has them fetched anew, at most once a minute. A provider that is down is
asked again after some seconds, so that people who try do not hold the service's threads.

Nothing of the provider's tokens outlives the sign-in: no session holds one.
"""

from __future__ import annotations

import http.client
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import structlog

from armillary.engines.outbound.webhook import AllowedHosts, exchange, place_of
from armillary.errors import ArmillaryError, InvalidArgumentError, PermissionDeniedError
from armillary.identity.person import Profile, profile_of
from armillary.settings import Settings
from armillary.wire.sign_in import authorization, metadata
from armillary.wire.sign_in.authorization import Attempt
from armillary.wire.sign_in.faults import ProviderError, SignInRefusedError, UnknownKeyError
from armillary.wire.sign_in.id_token import Expected, verify_id_token
from armillary.wire.sign_in.metadata import ProviderKey, ProviderMetadata

# A provider rotates keys within days and publishes the next one before it signs with it.
KEPT_S: Final = 3600
# An unknown key has the set fetched anew at most so often: tokens with made-up keys must not make us call.
AGAIN_S: Final = 60
# After a failure nobody waits for the same failure again so soon.
FAILED_S: Final = 10
# Sign-ins whose code was exchanged are remembered, the oldest are dropped: a provider takes each code once anyway.
MAX_USED: Final = 10_000
MAX_SECRET_BYTES: Final = 4096
FORM: Final = "application/x-www-form-urlencoded"
# Where the provider leads browsers back to, below the console's address.
CALLBACK: Final = "/sign-in/callback"
SIGNED_OUT: Final = "/sign-in"

_log = structlog.get_logger("armillary.sign-in")

T = TypeVar("T")


class Begun(NamedTuple):
    """A sign-in that was begun: where the browser goes, and the cookie that it keeps meanwhile."""

    address: str
    cookie: str


class Kept:
    """Something that is fetched, kept for an hour, and not asked for again just after it failed."""

    def __init__(self, fetch: Callable[[], Any]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._value: Any = None
        self._at = self._failed_at = float("-inf")
        self._failure: ArmillaryError | None = None

    def get(self, now: float, *, newer_than_s: float = KEPT_S) -> Any:
        """What was fetched in the last ``newer_than_s`` seconds, or is fetched now.

        Raises:
            ProviderError: it cannot be fetched; for some seconds the same error again.
        """
        with self._lock:
            if self._value is not None and now - self._at < newer_than_s:
                return self._value
            if self._failure is not None and now - self._failed_at < FAILED_S:
                raise self._failure
            try:
                self._value, self._at = self._fetch(), now
            except ProviderError as error:
                self._failure, self._failed_at = error, now
                raise
            self._failure = None
            return self._value


class SignInProvider:
    """The provider of this service's settings. Calls block: have them in threads of their own, and few.

    Args:
        address: The console's address, ``https://HOST:PORT``, once it is known.
        clock: Unix seconds.
    """

    def __init__(self, settings: Settings, address: Callable[[], str], clock: Callable[[], float]) -> None:
        issuer = settings.oidc_issuer
        _, host, port, _ = place_of(issuer)
        self._settings = settings
        self._address = address
        self._clock = clock
        self._secret = _secret_of(settings.oidc_client_secret_file)
        self._allowed = AllowedHosts(public=True, named=frozenset((f"{host}:{port}",)))
        self._key = secrets.token_bytes(32)
        self._metadata = Kept(self._fetch_metadata)
        self._keys = Kept(self._fetch_keys)
        self._used: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()
        self.label = settings.oidc_label or urlsplit(issuer).hostname or issuer

    @property
    def redirect(self) -> str:
        """Where the provider leads browsers back to: never from what a request says."""
        return self._address() + CALLBACK

    def begin(self, back: str) -> Begun:
        """Begin a sign-in that leads to the path ``back``.

        Raises:
            ProviderError: the provider cannot be reached, or its metadata is wrong.
        """
        attempt = Attempt(secrets.token_urlsafe(32), int(self._clock()), back)
        address = authorization.authorization_address(
            self._known(),
            attempt,
            self._key,
            client_id=self._settings.oidc_client_id,
            redirect=self.redirect,
            scopes=self._settings.oidc_scopes,
        )
        return Begun(address, attempt.sealed(self._key))

    def finish(self, cookie: str, answer: Mapping[str, str]) -> tuple[Profile, str]:
        """Who came back with an answer to the sign-in of a cookie, and the path that it leads to.

        Raises:
            SignInRefusedError: the answer, or its ID token, is not for this browser, client or time.
            ProviderError: the provider cannot be reached, or refuses this service.
        """
        now = int(self._clock())
        attempt = authorization.opened(cookie, self._key, now)
        provider = self._known()
        code = authorization.code_of(answer, provider, attempt.state(self._key))
        self._use(attempt)
        token, access = self._exchange(provider, code, attempt)
        expected = Expected(
            issuer=provider.issuer, client_id=self._settings.oidc_client_id, nonce=attempt.nonce(self._key)
        )
        try:
            claims = verify_id_token(token, self._keys.get(now), expected, now=now, access_token=access)
        except UnknownKeyError:
            keys: Sequence[ProviderKey] = self._keys.get(now, newer_than_s=AGAIN_S)
            claims = verify_id_token(token, keys, expected, now=now, access_token=access)
        return self._profile(provider, claims, access), attempt.back

    def sign_out_address(self) -> str:
        """Where a browser signs out at the provider; "" where it offers none or cannot be reached."""
        try:
            known = self._known()
        except ProviderError:
            return ""
        return authorization.sign_out_address(
            known, client_id=self._settings.oidc_client_id, redirect=self._address() + SIGNED_OUT
        )

    def _profile(self, provider: ProviderMetadata, claims: Mapping[str, Any], access: str) -> Profile:
        settings = self._settings
        names = {
            "name": settings.oidc_name_claim,
            "email": settings.oidc_email_claim,
            "groups": settings.oidc_groups_claim,
        }
        # An address without ``email_verified`` says nothing, so that is asked for as well.
        wanted = {
            names["name"],
            names["email"],
            "email_verified",
            *((names["groups"],) if settings.oidc_grants else ()),
        }
        if access and provider.userinfo_endpoint and not wanted <= claims.keys():
            more = self._user_info(provider, access)
            if more.get("sub") != claims["sub"]:  # OpenID Connect Core §5.3.2
                raise SignInRefusedError("what the provider says of the person is about somebody else (sub)")
            claims = {**more, **claims}
        return profile_of(claims, issuer=provider.issuer, names=names)

    def _use(self, attempt: Attempt) -> None:
        """Use an attempt up. Raises SignInRefusedError if it was used before."""
        key = sha256(attempt.value.encode()).digest()
        with self._lock:
            if key in self._used:
                raise SignInRefusedError("this answer of the provider was used before")
            self._used[key] = None
            while len(self._used) > MAX_USED:
                self._used.popitem(last=False)

    def _known(self) -> ProviderMetadata:
        found: ProviderMetadata = self._metadata.get(self._clock())
        return found

    def _fetch_metadata(self) -> ProviderMetadata:
        issuer = self._settings.oidc_issuer
        document = self._get(issuer.rstrip("/") + metadata.WELL_KNOWN, metadata.MAX_METADATA_BYTES)
        return metadata.parse_metadata(document, issuer)

    def _fetch_keys(self) -> tuple[ProviderKey, ...]:
        return metadata.parse_key_set(self._get(self._known().jwks_uri, metadata.MAX_KEY_SET_BYTES))

    def _exchange(self, provider: ProviderMetadata, code: str, attempt: Attempt) -> tuple[str, str]:
        asked = authorization.exchange_of(
            provider,
            code,
            attempt.verifier(self._key),
            client_id=self._settings.oidc_client_id,
            secret=self._secret,
            redirect=self.redirect,
        )
        most = authorization.MAX_REPLY_BYTES
        status, body = self._call(provider.token_endpoint, most, asked.body, asked.headers, method="POST")
        return authorization.parse_tokens(status, body)

    def _user_info(self, provider: ProviderMetadata, access: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
        status, body = self._call(provider.userinfo_endpoint, authorization.MAX_REPLY_BYTES, b"", headers)
        if status != 200:
            raise ProviderError(f"the provider answered {status} when it was asked who it is")
        return metadata.json_object(body, "what the provider says of the person")

    def _get(self, url: str, most: int) -> bytes:
        status, body = self._call(url, most, b"", {"Accept": "application/json"})
        if status != 200:
            raise ProviderError(f"the provider answered {status} at {url}")
        return body

    def _call(
        self, url: str, most: int, body: bytes, headers: Mapping[str, str], *, method: str = "GET"
    ) -> tuple[int, bytes]:
        """Status and body of an answer of the provider; redirects are not followed."""
        ca_file = self._settings.oidc_ca_file
        try:
            status, _, answer = exchange(
                url,
                body,
                dict(headers),
                self._allowed,
                content_type=FORM,
                method=method,
                most=most + 1,
                ca_file=ca_file,
            )
        except PermissionDeniedError as error:
            raise ProviderError(
                f"the provider's metadata names {url}, whose host is neither the issuer's nor a public one",
                remedy="The provider has to serve all its addresses from the issuer's host, or from public ones.",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            _log.warning("sign-in-provider-failed", url=url, error=type(error).__name__, reason=str(error)[:200])
            raise ProviderError(f"the sign-in provider {self.label} cannot be reached") from error
        if len(answer) > most:
            raise ProviderError(f"the provider's answer at {url} is larger than {most:,} bytes")
        return status, answer


def _secret_of(file: str) -> str:
    """The client's secret in a file; "" without one."""
    if not file:
        return ""
    try:
        opened = os.open(file, os.O_RDONLY)
        with os.fdopen(opened, "rb") as stream:
            is_open = os.fstat(opened).st_mode & 0o077
            content = stream.read(MAX_SECRET_BYTES + 1)
        secret = content.decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            f"oidc_client_secret_file: {Path(file)} cannot be read as ASCII text",
            remedy="Check the path and who may read it.",
        ) from error
    if is_open:
        raise InvalidArgumentError(
            f"oidc_client_secret_file: {file} can be read by others", remedy=f"Run: chmod 600 {file}"
        )
    if not secret or len(content) > MAX_SECRET_BYTES:
        raise InvalidArgumentError(
            f"oidc_client_secret_file: expected 1 to {MAX_SECRET_BYTES} bytes in {file}",
            remedy="Put the client's secret there, and nothing else.",
        )
    return secret
