# SPDX-License-Identifier: Apache-2.0
"""One HTTPS connection to the operator API: requests, answers, and what the service refused as our errors."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import ssl
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn
from urllib.parse import urlencode

from armillary import __version__
from armillary.cli.terminal.connection import Connection
from armillary.cli.terminal.progress import arriving, waiting
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    OperatorError,
    PermissionDeniedError,
    ServiceUnreachableError,
    UnauthenticatedError,
)

# Seconds without a byte before a call is given up; an image upload answers after its signature check and commit.
TIMEOUT_S = 60.0
# Largest answer read into memory, bytes.
MAX_ANSWER_BYTES = 64 << 20
# A file is taken, and what is larger is sent, in parts of this size, bytes.
PART_BYTES = 256 << 10

_ERRORS: Mapping[int, type[OperatorError]] = {
    400: InvalidArgumentError,
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
}

_NONE: Mapping[str, str] = MappingProxyType({})


class Exchange:
    """Sends requests over one connection, one after the other.

    Every method raises :class:`ServiceUnreachableError` when there is no answer, and an error of the operator tree
    with the service's own code, message and remedy when there is one that says no.
    """

    def __init__(self, connection: Connection) -> None:
        self.address = connection.service
        self._token = connection.token
        context = ssl.create_default_context(cadata=connection.ca_pem or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._http = http.client.HTTPSConnection(connection.host, connection.port, timeout=TIMEOUT_S, context=context)

    def close(self) -> None:
        """End the connection; the next request makes another."""
        self._http.close()

    def send(
        self,
        method: str,
        target: str,
        data: bytes | None = None,
        *,
        media_type: str = "application/json",
        headers: Mapping[str, str] = _NONE,
        within_s: float = TIMEOUT_S,
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """Status, headers and JSON body of the answer to one request; ``target`` is a path with its query.

        ``within_s`` is how long the service may say nothing.
        """
        sent = {**self._headers(media_type if data else None), **headers}
        with self._asking(), self._patient(within_s):
            self._request(method, target, data, sent)
            with waiting("the service"):
                response = self._http.getresponse()
                raw = response.read(MAX_ANSWER_BYTES + 1)
        if len(raw) > MAX_ANSWER_BYTES:
            self._http.close()
            raise ServiceUnreachableError(f"{self.address}: the answer is larger than {MAX_ANSWER_BYTES} bytes")
        answer = _parsed(self.address, response.status, raw)
        if response.status >= 400:
            _raise_refused(response.status, answer)
        return response.status, response.headers, answer

    def _request(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]) -> None:
        """Send a request. Of a large body it is told how much is sent, else that the service is waited for."""
        self._reopen_if_ended()
        if data is None or len(data) <= PART_BYTES:
            with waiting("the service"):
                self._http.request(method, target, body=data, headers=dict(headers))
            return
        parts = (data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES))
        body = arriving(parts, "sent", len(data))
        self._http.request(method, target, body=body, headers={**headers, "Content-Length": str(len(data))})

    def call(
        self, method: str, target: str, body: object = None, headers: Mapping[str, str] = _NONE
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """As :meth:`send`, with ``body`` as JSON; None sends none."""
        return self.send(method, target, None if body is None else json.dumps(body).encode(), headers=headers)

    def download(self, target: str) -> Iterator[bytes]:
        """The body of an answer in parts, whatever its size; an answer that ends too early is none."""
        with self._asking():
            self._reopen_if_ended()
            self._http.request("GET", target, headers=self._headers(None))
            response = self._http.getresponse()
            if response.status >= 400:
                _raise_refused(response.status, _parsed(self.address, response.status, response.read(MAX_ANSWER_BYTES)))
            parts = iter(lambda: response.read(PART_BYTES), b"")
            yield from arriving(parts, total=response.length)

    def _headers(self, media_type: str | None) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "User-Agent": f"armillary-cli/{__version__}",
        }
        return headers if media_type is None else {**headers, "Content-Type": media_type}

    def _reopen_if_ended(self) -> None:
        """Leave a connection that the service has ended meanwhile, as servers do with idle ones (RFC 9112 §9.5).

        Nothing is under way, so what can be read is its end; http.client then opens another for the next request.
        """
        if self._http.sock is not None:
            looking = select.poll()
            looking.register(self._http.sock, select.POLLIN)
            if looking.poll(0):
                self._http.close()

    @contextlib.contextmanager
    def _patient(self, within_s: float) -> Iterator[None]:
        """Waits so long for the service while something is asked; a connection that is open already is made anew."""
        if within_s == TIMEOUT_S:
            yield
            return
        self._http.close()
        self._http.timeout = within_s
        try:
            yield
        finally:
            self._http.timeout = TIMEOUT_S
            self._http.close()

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Explains what goes wrong between here and the service."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise ServiceUnreachableError(
                f"{self.address}: the server's certificate is not trusted ({error.verify_message})",
                remedy="Log in again with the service's own root certificate: armillary login --ca FILE.",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise ServiceUnreachableError(f"{self.address}: no answer ({error or type(error).__name__})") from error


def with_query(path: str, query: Mapping[str, object]) -> str:
    """A path with its query; values that are None are left out, lists repeat their name."""
    given = {
        name: list(map(_text, value)) if isinstance(value, list) else _text(value)
        for name, value in query.items()
        if value is not None
    }
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(address: str, status: int, raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise ServiceUnreachableError(
            f"{address}: expected JSON, got something else (HTTP {status})",
            remedy="Check that the address is an Armillary operator API.",
        ) from error


def _raise_refused(status: int, answer: Any) -> NoReturn:
    kind = _ERRORS.get(status, ArmillaryError if status >= 500 else OperatorError)
    body = answer if isinstance(answer, dict) else {}
    if isinstance(body.get("error"), dict):
        error = body["error"]
        info = next((item.get("info") or {} for item in error.get("additionalInfo") or []), {})
        raise kind(
            str(error.get("message")), code=str(info.get("code") or error.get("code")), remedy=info.get("remedy")
        )
    raise kind(
        str(body.get("detail") or f"the service answered with HTTP {status}"),
        code=str(body["code"]) if "code" in body else None,
        remedy=body.get("remedy"),
    )
