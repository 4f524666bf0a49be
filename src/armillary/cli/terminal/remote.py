# SPDX-License-Identifier: Apache-2.0
"""The command line's client of the operator API, and how a remote verb is declared."""

from __future__ import annotations

import contextlib
import functools
import http.client
import inspect
import json
import shutil
import ssl
import sys
import time
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NoReturn, Self
from urllib.parse import quote, urlencode, urlsplit

import typer

from armillary import __version__
from armillary.cli.terminal.connection import CA_VARIABLE, SERVICE_VARIABLE, TOKEN_VARIABLE, Connection, resolve
from armillary.cli.terminal.device_reference import resolve_devices
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
# A file is taken in parts of this size, bytes.
DOWNLOAD_PART_BYTES = 256 << 10
# A long-running operation is polled this often (seconds) unless the service says otherwise, and at most so long.
POLL_S = 0.5
OPERATION_DEADLINE_S = 120.0
API_VERSION = "2024-04-01"
# The service ignores subscriptions (there is one owner: you); the management API's paths need one.
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

_ERRORS: Mapping[int, type[OperatorError]] = {
    400: InvalidArgumentError,
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
}

ServiceOption = Annotated[
    str | None,
    typer.Option("--service", metavar="URL", help=f"Address of the service. [env: {SERVICE_VARIABLE}]"),
]
TokenOption = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help=f"Operator token. [env: {TOKEN_VARIABLE}]")
]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help=f"PEM file with the service's root certificate. [env: {CA_VARIABLE}]"),
]


class RemoteService:
    """One connection to the operator API; a context manager.

    Every method raises :class:`ServiceUnreachableError` when there is no answer, and an error of the operator tree
    with the service's own code, message and remedy when there is one that says no.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        context = ssl.create_default_context(cadata=connection.ca_pem or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._http = http.client.HTTPSConnection(connection.host, connection.port, timeout=TIMEOUT_S, context=context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def address(self) -> str:
        """The service's address, for people."""
        return self._connection.service

    @property
    def catalog(self) -> str:
        """The catalog that commands mean that name none; "" when none is remembered."""
        return self._connection.catalog

    def get(self, path: str, **query: object) -> Any:
        """GET a native route; ``path`` starts after ``/api/v1``. Query values that are None are left out."""
        return self._native("GET", path, query, None)

    def post(self, path: str, body: object = None, **query: object) -> Any:
        """POST to a native route."""
        return self._native("POST", path, query, {} if body is None else body)

    def patch(self, path: str, body: object, **query: object) -> Any:
        """PATCH a native route."""
        return self._native("PATCH", path, query, body)

    def put(self, path: str, body: object, *, if_match: str | None = None, **query: object) -> Any:
        """PUT to a native route, only over what has the ETag ``if_match`` where one is given."""
        return self._native("PUT", path, query, body, {} if if_match is None else {"If-Match": if_match})

    def delete(self, path: str, **query: object) -> Any:
        """DELETE a native route."""
        return self._native("DELETE", path, query, None)

    def upload(self, path: str, data: bytes, media_type: str) -> Any:
        """POST a file to a native route."""
        return self._send("POST", "/api/v1" + path, data, media_type)[2]

    def download(self, path: str, **query: object) -> Iterator[bytes]:
        """A file from a native route in parts, whatever its size.

        Raises:
            ServiceUnreachableError: also when the service ended it before the file did.
        """
        target = _with_query("/api/v1" + path, query)
        with self._asking():
            self._http.request("GET", target, headers=self._headers(None))
            response = self._http.getresponse()
            if response.status >= 400:
                _raise_refused(response.status, _parsed(self.address, response.status, response.read(MAX_ANSWER_BYTES)))
            while part := response.read(DOWNLOAD_PART_BYTES):
                yield part

    def save(self, path: str, target: Path) -> int:
        """Write what a native route gives to a file, however large; returns its bytes.

        Raises:
            InvalidArgumentError: the file cannot be written.
        """
        try:
            self._http.request("GET", "/api/v1" + path, headers={"Authorization": f"Bearer {self._connection.token}"})
            response = self._http.getresponse()
            if response.status >= 400:
                _raise_refused(response.status, _parsed(self.address, response.status, response.read(MAX_ANSWER_BYTES)))
            with target.open("wb") as file:
                shutil.copyfileobj(response, file, 1 << 20)
                return file.tell()
        except http.client.HTTPException as error:
            self._http.close()
            raise ServiceUnreachableError(f"{self.address}: no answer ({error or type(error).__name__})") from error
        except OSError as error:
            self._http.close()
            raise InvalidArgumentError(f"{target}: {error.strerror or error}", remedy="Choose another file.") from error

    def pages(self, path: str, *, limit: int | None = None, **query: object) -> Iterator[dict[str, Any]]:
        """Items of a native list, page after page, at most ``limit`` of them."""
        after: object = None
        count = 0
        while True:
            page = self.get(path, after=after, **query)
            for item in page["items"]:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield item
            after = page.get("next")
            if not after or (limit is not None and count >= limit):
                return

    def azure(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Call a management route; waits for a long-running operation and returns its result."""
        query = {"api-version": API_VERSION, **query}
        status, headers, answer = self._exchange(method, _with_query(path, query), body)
        follow = headers.get("Azure-AsyncOperation") or headers.get("Location")
        if status not in (201, 202) or follow is None:
            return answer
        return self._finish(method, path, query, headers, answer)

    def azure_pages(self, path: str, *, method: str = "GET", **query: object) -> Iterator[dict[str, Any]]:
        """Items of a management list; the first page by ``method``, the next ones by GET on ``nextLink``."""
        answer = self.azure(method, path, **query)
        while True:
            yield from answer["value"]
            link = answer.get("nextLink")
            if not link:
                return
            _, _, answer = self._exchange("GET", self._own_path(link), None)

    def _finish(
        self, method: str, path: str, query: Mapping[str, object], headers: http.client.HTTPMessage, answer: Any
    ) -> Any:
        status_url, result_url = headers.get("Azure-AsyncOperation"), headers.get("Location")
        deadline = time.monotonic() + OPERATION_DEADLINE_S
        while status_url is not None:
            _, polled, state = self._exchange("GET", self._own_path(status_url), None)
            if state["status"] == "Succeeded":
                break
            if state["status"] in ("Failed", "Canceled"):
                _raise_failed(state)
            if time.monotonic() > deadline:
                raise ServiceUnreachableError(f"{self.address}: the operation did not end in time")
            time.sleep(float(polled.get("Retry-After") or POLL_S))
        if result_url is not None:
            return self._exchange("GET", self._own_path(result_url), None)[2]
        if method == "PUT":
            return self._exchange("GET", _with_query(path, query), None)[2]
        return answer

    def _own_path(self, link: str) -> str:
        # The token goes to the service we were told of and nowhere else, whatever a link says.
        parts = urlsplit(link)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def _native(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        body: object,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Any:
        return self._exchange(method, _with_query("/api/v1" + path, query), body, headers)[2]

    def _exchange(
        self, method: str, target: str, body: object, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        data = None if body is None else json.dumps(body).encode()
        return self._send(method, target, data, "application/json", headers)

    def _send(
        self,
        method: str,
        target: str,
        data: bytes | None,
        media_type: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        sent = {**self._headers(media_type if data else None), **headers}
        with self._asking():
            self._http.request(method, target, body=data, headers=sent)
            response = self._http.getresponse()
            raw = response.read(MAX_ANSWER_BYTES + 1)
        if len(raw) > MAX_ANSWER_BYTES:
            self._http.close()
            raise ServiceUnreachableError(f"{self.address}: the answer is larger than {MAX_ANSWER_BYTES} bytes")
        answer = _parsed(self.address, response.status, raw)
        if response.status >= 400:
            _raise_refused(response.status, answer)
        return response.status, response.headers, answer

    def _headers(self, media_type: str | None) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self._connection.token}",
            "Accept": "application/json",
            "User-Agent": f"armillary-cli/{__version__}",
        }
        return headers if media_type is None else {**headers, "Content-Type": media_type}

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


def connect(service: str | None, token: str | None, ca: Path | None) -> RemoteService:
    """Open the service that the options, the environment or the stored login name."""
    return RemoteService(resolve(service, token, ca))


def remote_command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a verb whose first parameter is a :class:`RemoteService`; adds --service, --token and --ca."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        hints = typing.get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]

        @functools.wraps(function)
        def call(**values: Any) -> None:
            parts = {key: values.pop(key) for key in ("service", "token", "ca")}
            with connect(**parts) as remote:
                function(remote, **resolve_devices(remote, hints, values))

        options = {"service": ServiceOption, "token": TokenOption, "ca": CaOption}
        parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
        parameters += [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
            for key, option in options.items()
        ]
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what Typer reads
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del call.__wrapped__  # or its annotations would be read instead
        app.command(name)(call)
        return function

    return register


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def read_file(path: Path, *, limit: int) -> bytes:
    """The bytes of a file that a person named; ``-`` is stdin.

    Raises:
        InvalidArgumentError: it cannot be read or is larger than ``limit`` bytes.
    """
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with path.open("rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise InvalidArgumentError(f"{path}: cannot be read ({error.strerror})", remedy="Check the path.") from error
    if len(data) > limit:
        raise InvalidArgumentError(f"{path}: larger than {limit} bytes", remedy="Use a smaller file.")
    return data


def write_file(path: Path, data: bytes) -> None:
    """Write what the service gave to a file that a person named; ``-`` is stdout.

    Raises:
        InvalidArgumentError: it cannot be written.
    """
    try:
        if str(path) == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            path.write_bytes(data)
    except OSError as error:
        raise InvalidArgumentError(f"{path}: cannot be written ({error.strerror})", remedy="Check the path.") from error


def _with_query(path: str, query: Mapping[str, object]) -> str:
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


def _raise_failed(state: Mapping[str, Any]) -> NoReturn:
    error = state.get("error") or {}
    raise OperatorError(str(error.get("message") or "the operation failed"), code=str(error.get("code") or "request"))
