# SPDX-License-Identifier: Apache-2.0
"""The command line's client of a device's own API, and how a verb that uses it is declared.

A device on this host is found by its data folder, whose status says where it listens. Another one is named by address,
certificate and token.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import ssl
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown
from armillary.cli.terminal.progress import waiting
from armillary.cli.terminal.together import declared, parameters_of
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import read_status
from armillary.errors import (
    ConflictError,
    DataFolderError,
    InvalidArgumentError,
    NotFoundError,
    OperatorError,
    PermissionDeniedError,
    ServiceUnreachableError,
)

HELP = "Devices: on this host and in the service."
TIMEOUT_S = 60.0
CONNECT_S = 10.0  # a device that runs takes a connection at once
MAX_ANSWER_BYTES = 4 << 20  # the log has half a megabyte
ANY_DEVICE = "any.devices.sphere.azure.local"
_ERRORS: Mapping[int, type[OperatorError]] = {
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
}
_NOT_SERVED = (
    "Start it with its API: armillary device boot --data DIR --rest 127.0.0.1:8443; a machine with --service-link."
)

# Names of the options -> their annotations; each verb has them all.
_WHERE: dict[str, Any] = {
    "data": Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The data folder of a device or machine on this host.")
    ],
    "url": Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Or where its API is, such as https://127.0.0.1:8443."),
    ],
    "ca": Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="With --url: the certificate of its API.")],
    "token_file": Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="The token of the API, if it asks for one.")
    ],
}

Verb = Callable[..., Shown | None]


class AskedDevice:
    """One device's own API.

    Raises:
        PermissionDeniedError, NotFoundError, ConflictError, InvalidArgumentError: the device refuses, and says why.
        ServiceUnreachableError: nothing answers there, or it is no device's API.
    """

    def __init__(self, url: str, ca: Path, token: str = "") -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise InvalidArgumentError(f"--url: expected https://HOST:PORT, got {url!r:.80}")
        try:
            self._context = ssl.create_default_context(cafile=str(ca))
            self._host, self._port = parts.hostname, parts.port or 443
        except (OSError, ValueError) as error:
            raise InvalidArgumentError(
                f"{ca}: {error}", remedy="Name the file that the device printed: rest/ca.pem in its folder."
            ) from error
        self._url = url
        self._headers = {"Host": ANY_DEVICE} | ({"Authorization": f"Bearer {token}"} if token else {})

    def get(self, path: str) -> Any:
        """What a GET returns: JSON, or bytes."""
        return self.call("GET", path)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What a call returns; bytes are sent as a package, everything else as JSON."""
        headers, data = dict(self._headers), None
        if isinstance(body, bytes):
            data, headers["Content-Type"] = body, "application/octet-stream"
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_S, context=self._context)
        within_s = CONNECT_S
        try:
            with contextlib.closing(connection):
                with waiting("the device", CONNECT_S):
                    connection.connect()
                within_s = TIMEOUT_S
                connection.sock.settimeout(within_s)
                with waiting("the device's answer", within_s):
                    connection.request(method, f"/{path}", data, headers)
                    reply = connection.getresponse()
                    found = reply.read(MAX_ANSWER_BYTES)
        except TimeoutError as error:
            raise ServiceUnreachableError(
                f"{self._url}: the device has not answered within {within_s:.0f} s",
                remedy="Is its process stopped or its host busy? armillary device log shows what it did last.",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise ServiceUnreachableError(
                f"{self._url}: {error or type(error).__name__}",
                remedy="Is the device running, and you the user who runs it? armillary device status says where it is.",
            ) from error
        return _checked(reply, found, self._url)


def attached_command(app: typer.Typer, name: str) -> Callable[[Verb], Verb]:
    """Declare a verb whose first parameter is an :class:`AskedDevice`; adds --json and what says which device."""

    def register(function: Verb) -> Verb:
        parameters = parameters_of(function, passed_over=1)
        where = {key: (kind, None) for key, kind in _WHERE.items()}
        options = {**parameters.options, "as_json": (JsonOption, False), **where}

        @functools.wraps(function)
        def call(**values: Any) -> None:
            device = _asked(**{key: values.pop(key) for key in _WHERE})
            as_json = values.pop("as_json")
            shown = function(device, **parameters.resolved(None, values))
            if shown is not None:
                shown.show(as_json=as_json)

        declared(app, name, call, options)
        return function

    return register


def _asked(data: Path | None, url: str | None, ca: Path | None, token_file: Path | None) -> AskedDevice:
    token = "" if token_file is None else _token(token_file)
    if data is not None and url is None and ca is None:
        return AskedDevice(*_of_folder(data), token)
    if data is None and url is not None and ca is not None:
        return AskedDevice(url, ca, token)
    raise typer.BadParameter("say which device: --data DIR, or --url URL and --ca FILE")


def _of_folder(data: Path) -> tuple[str, Path]:
    """Where the API of a device on this host is, and the certificate to trust."""
    from armillary.device_image.service_link.link import found_link  # noqa: PLC0415 - most devices are processes

    machine = found_link(data)
    if machine is not None:
        return machine
    folder = DeviceFolder(data)
    if not folder.is_finished():
        _check_no_machine(data)
    folder.check()
    if folder.holder() is None:
        raise NotFoundError(f"{data}: the device does not run", remedy=_NOT_SERVED)
    found = (read_status(folder.status) or {}).get("rest")
    if not found:
        raise NotFoundError(f"{data}: the device runs without its API", remedy=_NOT_SERVED)
    return str(found["url"]), Path(found["ca"])


def _check_no_machine(data: Path) -> None:
    """NotFoundError where a machine's disk is in a folder: it has no link, or has not said that it serves its API."""
    from armillary.device_image.virtual_machine import DISK  # noqa: PLC0415 - it is no device's folder

    if (data / DISK).exists():
        raise NotFoundError(
            f"{data}: this machine serves no API now",
            remedy="Boot it with --service-link, and wait until it says on its console where its service link is.",
        )


def _token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFolderError(f"{path}: {error}", remedy="Name a file with the token in one line.") from error


def _checked(reply: http.client.HTTPResponse, found: bytes, url: str) -> Any:
    kind = reply.headers.get_content_type()
    try:
        value = json.loads(found) if kind == "application/json" else found
    except ValueError:
        value = None
    if reply.headers.get("REST-API-Version") is None or value is None:
        raise ServiceUnreachableError(f"{url}: this is no device's API", remedy="Check address and port.")
    if reply.status in (200, 201):
        return value
    told = {name: urllib.parse.unquote(reply.headers.get(f"Armillary-{name}", "")) for name in ("Message", "Remedy")}
    number = value.get("error") if isinstance(value, dict) else None
    message = told["Message"] or f"HTTP {reply.status}"
    numbered = message if number is None else f"{message} (error {number})"
    raise _ERRORS.get(reply.status, InvalidArgumentError)(numbered, remedy=told["Remedy"])


def plain_segment(name: str) -> str:
    """A name as a segment of a path; InvalidArgumentError for what no name of a device's API has."""
    quoted = urllib.parse.quote(name, safe="$@:+=,;")
    if quoted != name or name in ("", ".", ".."):
        raise InvalidArgumentError(
            f"expected letters, digits and .-_, got {name!r:.60}", remedy="Name what the command is about."
        )
    return name


def file_text(path: Path) -> str:
    """The text of a file that is sent; InvalidArgumentError if it is none."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidArgumentError(f"{path}: {reason}", remedy="Name a PEM file.") from error


def secret_of(given: str | None, variable: str) -> str | None:
    """A secret as an option or an environment variable gives it; the latter is not seen in lists of processes."""
    return given if given is not None else os.environ.get(variable)
