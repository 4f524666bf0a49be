# SPDX-License-Identifier: Apache-2.0
"""What surrounds every page: security headers, the size of a form, its origin and its CSRF token.

Numbered, in the order they are applied to a request that changes something (POST):

    (1) size      a form is at most MAX_FORM_BYTES          prevents: memory exhaustion
    (2) type      application/x-www-form-urlencoded only,   prevents: cross-origin posts of other kinds
                  multipart/form-data where files are taken
    (3) origin    Origin and Sec-Fetch-Site, where sent,    prevents: cross-site posting, also from a sibling
                  name this host, over https                          host that could set cookies, or from a
                                                                      page of this host that was not encrypted
    (4) token     the form's token belongs to the cookie    prevents: cross-site request forgery

The caller must still ask whether the session's token stands and its role allows the action.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from armillary.errors import InvalidArgumentError, PermissionDeniedError
from armillary.wire.text.web_address import host_of_origin

SESSION_COOKIE = "__Host-armillary"
# Holds the random value that seals the sign-in form, before there is a session.
SIGN_IN_COOKIE = "__Host-armillary-sign-in"
# Names the sign-in whose token was taken and whose passkey is still asked for.
SECOND_STEP_COOKIE = "__Host-armillary-second-step"
THEME_COOKIE = "__Host-armillary-theme"
CLOCK_COOKIE = "__Host-armillary-clock"
LANGUAGE_COOKIE = "__Host-armillary-language"
FORM_TOKEN_FIELD = "form_token"  # noqa: S105 - a field's name
DIGEST_BYTES: Final = hashlib.sha256().digest_size
_TOKEN: Final = re.compile(f"[0-9a-f]{{{4 * DIGEST_BYTES}}}")  # a pad and the masked digest
# Error code of a form that was refused before it was read.
FOREIGN_FORM = "request.foreign-form"
# The largest form is a desired-properties patch: 32 KiB as in IoT Hub, three bytes for each when percent-encoded.
MAX_FORM_BYTES = 3 * 32 * 1024 + 4096
# Models in DTDL that somebody edits: 256 KiB, percent-encoded. Larger ones: armillary template import.
MAX_MODEL_FORM_BYTES = 3 * 256 * 1024 + 4096
# Marks of forms that were taken, of all browsers: older ones are on no screen any more.
MAX_ONCE: Final = 10_000
# Parts of a form with files: more than the boot components of any chip.
MAX_FILES: Final = 40
# The form of a twin has a field for each writable property, of which a template has 300 at most.
MAX_FORM_FIELDS = 320
# The field of a form that may have several files: they are read as ``packages.0``, ``packages.1`` and so on.
SEVERAL_FILES: Final = "packages"

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it browsers send "Origin: null" on our own forms and check (3) could not be strict.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class FormSeal:
    """CSRF tokens: an HMAC of the browser's cookie under a key that only this process knows.

    Pages are compressed, and the length of a compressed page tells what in it equals what an attacker had put into it
    (BREACH, CVE-2013-3587). So a token is masked: a random pad, then the HMAC combined with it by exclusive or. No two
    pages have the same.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(DIGEST_BYTES)

    def token(self, cookie: str) -> str:
        """The token that a form of this browser carries, masked anew: 128 hex digits."""
        pad = secrets.token_bytes(DIGEST_BYTES)
        return (pad + _combined(pad, self._digest(cookie))).hex()

    def holds(self, cookie: str, token: str) -> bool:
        """Whether the form's token belongs to the cookie. Constant time; an empty cookie has no token."""
        if not cookie or _TOKEN.fullmatch(token) is None:
            return False
        given = bytes.fromhex(token)
        return hmac.compare_digest(self._digest(cookie), _combined(given[:DIGEST_BYTES], given[DIGEST_BYTES:]))

    def _digest(self, cookie: str) -> bytes:
        return hmac.digest(self._key, b"form:" + cookie.encode(), hashlib.sha256)


def _combined(pad: bytes, other: bytes) -> bytes:
    return bytes(one ^ two for one, two in zip(pad, other, strict=True))


class OnceOnly:
    """Forms that are taken one time: a page that is sent again changes nothing twice. Thread-safe."""

    def __init__(self) -> None:
        self._taken: OrderedDict[bytes, None] = OrderedDict()  # by hash: a mark may be as long as a form
        self._changing = threading.Lock()

    def take(self, cookie: str, once: str) -> bool:
        """Whether a browser's form with this mark comes for the first time; one without a mark never does."""
        key = hashlib.sha256(f"{cookie} {once}".encode("utf-8", "surrogatepass")).digest()
        with self._changing:
            if not once or key in self._taken:
                return False
            self._taken[key] = None
            while len(self._taken) > MAX_ONCE:
                self._taken.popitem(last=False)
            return True


class SecurityHeaders:
    """ASGI layer that puts the headers on every answer; pages are never stored unless the answer says otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    if name != "Content-Security-Policy" or name not in headers:  # a picture's own allows less
                        headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def read_form(request: Request, seal: FormSeal, cookie: str, *, most: int = MAX_FORM_BYTES) -> Mapping[str, str]:
    """Read and check a posted form of at most ``most`` bytes; the numbered steps are in the module's docstring.

    ``cookie`` is the value of the session or sign-in cookie that the form was made for.

    Raises:
        InvalidArgumentError: too large, wrong content type or malformed.
        PermissionDeniedError: from another site, or its token does not belong to this browser.
    """
    body = bytearray()
    async for chunk in _bounded(request, most):  # (1)
        body += chunk
    kind = _kind(request)  # (2)
    if kind != URLENCODED:
        raise InvalidArgumentError(
            f"form type: expected {URLENCODED}, got {kind or 'none'}",
            remedy="Use the form on the page.",
        )
    _check_origin(request.headers)  # (3)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS, errors="strict")
    except (ValueError, UnicodeError) as error:
        raise InvalidArgumentError("the form is malformed", remedy="Reload the page and send it again.") from error
    return _sealed(pairs, seal, cookie)


async def read_upload(
    request: Request, seal: FormSeal, cookie: str, *, most: int, in_memory: int | None = None
) -> tuple[Mapping[str, str], Mapping[str, bytes]]:
    """Read and check a posted form with files, ``most`` bytes in all: its fields, and its files by their fields.

    A file of more than ``in_memory`` bytes lies on the disk, without a name, while the form comes in; by default none
    does. A field of a file that was left empty is not there. Raises as :func:`read_form` does.
    """
    if _kind(request) == URLENCODED:
        return await read_form(request, seal, cookie), {}
    if _kind(request) != MULTIPART:  # (2)
        raise InvalidArgumentError(
            f"form type: expected {MULTIPART}, got {_kind(request) or 'none'}", remedy="Use the form on the page."
        )
    _check_origin(request.headers)  # (3)
    parser = MultiPartParser(request.headers, _bounded(request, most), max_files=MAX_FILES, max_fields=MAX_FORM_FIELDS)
    parser.spool_max_size = most if in_memory is None else in_memory
    try:
        found = (await parser.parse()).multi_items()  # (1)
    except MultiPartException as error:
        raise InvalidArgumentError("the form is malformed", remedy="Reload the page and send it again.") from error
    fields = _sealed([(name, value) for name, value in found if isinstance(value, str)], seal, cookie)
    given = [(name, value) for name, value in found if isinstance(value, UploadFile) and value.filename]
    files: dict[str, bytes] = {}
    for number, (name, value) in enumerate(given):
        key = f"{name}.{number}" if name == SEVERAL_FILES else name
        if key in files:
            raise _twice()
        files[key] = await value.read()
        await value.close()  # before the next is read
    return fields, files


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes]:
    """The body as it comes. Raises InvalidArgumentError once it is larger than ``most`` bytes."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise InvalidArgumentError(
                f"the form is larger than {most:,} bytes", remedy="Send less, or use the command line."
            )
        yield chunk


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _sealed(pairs: Sequence[tuple[str, str]], seal: FormSeal, cookie: str) -> dict[str, str]:
    """The fields of a form that was made for this browser session; each is there once."""
    fields = dict(pairs)
    if len(fields) != len(pairs):  # which one counts would be a matter of who reads it
        raise _twice()
    if not seal.holds(cookie, fields.pop(FORM_TOKEN_FIELD, "")):  # (4)
        raise PermissionDeniedError(
            "this form was not made for this browser session",
            remedy="Go back, reload the page and try again. Nothing was changed.",
            code=FOREIGN_FORM,
        )
    return fields


def _twice() -> InvalidArgumentError:
    return InvalidArgumentError("a field of the form is there twice", remedy="Reload the page and send it again.")


def _check_origin(headers: Headers) -> None:
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    foreign = origin is not None and (
        not origin.startswith("https://") or host_of_origin(origin) != headers.get("host", "")
    )
    if foreign or site not in ("same-origin", "none"):
        raise PermissionDeniedError(
            f"the form was sent from another site ({(origin or site)!a:.100})",
            remedy="Open the console itself and use its form. Nothing was changed.",
            code=FOREIGN_FORM,
        )
