# SPDX-License-Identifier: Apache-2.0
"""The command line's client of the operator API, and how a verb that uses it is declared."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import quote

import typer
from typer.models import OptionInfo

from armillary.cli.terminal.connection import CA_VARIABLE, SERVICE_VARIABLE, TOKEN_VARIABLE, Connection, resolve
from armillary.cli.terminal.device_reference import REFERENCE, resolve_devices
from armillary.cli.terminal.exchange import Exchange, with_query
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.management import ManagementApi
from armillary.cli.terminal.output import Shown, note
from armillary.cli.terminal.short_ids import resolve_references
from armillary.cli.terminal.together import declared, parameters_of
from armillary.errors import InvalidArgumentError
from armillary.wire.text.duration import duration_text

ServiceOption = Annotated[
    str | None, typer.Option("--service", metavar="URL", help=f"Address of the service. [env: {SERVICE_VARIABLE}]")
]
TokenOption = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help=f"Operator token. [env: {TOKEN_VARIABLE}]")
]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help=f"PEM file with the service's root certificate. [env: {CA_VARIABLE}]"),
]

# Of verbs about a device that take no catalog otherwise.
_OfCatalogOption = Annotated[
    str | None, typer.Option("--catalog", "-c", metavar="NAME", help="Look for the device in this catalog alone.")
]

CATALOG_VARIABLE = "ARMILLARY_CATALOG"
# Marks a catalog option that the context does not fill: the command decides when it does (meant_catalog).
AS_GIVEN = "as given"

# Fields of a request's body -> options that set them, where these are not called as the field is.
OPTIONS_OF: Mapping[str, tuple[str, ...]] = {
    "check_interval_s": ("--check-every",),
    "ends_after_s": ("--for",),
    "every_s": ("--repeat",),
    "expires_after_s": ("--expires",),
    "lifetime_s": ("--expires", "--for"),
    "max_age_s": ("--age",),
    "max_deferral_s": ("--defer",),
    "timeout_s": ("--within",),
}
# What the service says to do about a body that is not of the form that a route takes (api/http/problems.py).
_FORM_OF_BODIES = "/api/v1/openapi.json"
_SECONDS = re.compile(r"\b(at least|at most|less than|more than|got) ([0-9]{1,15})(?![0-9.])")

Verb = Callable[..., Shown | None]
# What every verb takes that calls the service.
_CONNECTION = {"service": ServiceOption, "token": TokenOption, "ca": CaOption}


class RemoteService:
    """One connection to the operator API's native routes; a context manager. Raises as :class:`Exchange`.

    Paths start after ``/api/v1``; query values that are None are left out. ``catalog`` is the one of commands that name
    none, "" when none is remembered; ``management`` has the routes in the shape of Azure Sphere's, over the same
    connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._exchange = Exchange(connection)
        self.address = connection.service
        self.catalog = connection.catalog
        self.management = ManagementApi(self._exchange)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exchange.close()

    def get(self, path: str, **query: object) -> Any:
        """GET a native route."""
        return self._exchange.call("GET", _target(path, query))[2]

    def post(self, path: str, body: object = None, **query: object) -> Any:
        """POST to a native route."""
        return self._exchange.call("POST", _target(path, query), {} if body is None else body)[2]

    def post_slow(self, path: str, body: object, *, within_s: float, **query: object) -> Any:
        """POST to a native route that may think for so long before it answers."""
        data = json.dumps(body).encode()
        return self._exchange.send("POST", _target(path, query), data, within_s=within_s)[2]

    def patch(self, path: str, body: object, **query: object) -> Any:
        """PATCH a native route."""
        return self._exchange.call("PATCH", _target(path, query), body)[2]

    def put(self, path: str, body: object, *, if_match: str | None = None, **query: object) -> Any:
        """PUT to a native route, only over what has the ETag ``if_match`` where one is given."""
        headers = {} if if_match is None else {"If-Match": if_match}
        return self._exchange.call("PUT", _target(path, query), body, headers)[2]

    def delete(self, path: str, **query: object) -> Any:
        """DELETE a native route."""
        return self._exchange.call("DELETE", _target(path, query))[2]

    def upload(self, path: str, data: bytes, media_type: str) -> Any:
        """POST a file to a native route."""
        return self._exchange.send("POST", _target(path, {}), data, media_type=media_type)[2]

    def send_part(self, path: str, data: bytes, **query: object) -> Any:
        """PUT a part of a file to a native route."""
        target = _target(path, query)
        return self._exchange.send("PUT", target, data, media_type="application/octet-stream")[2]

    def download(self, path: str, **query: object) -> Iterator[bytes]:
        """A file from a native route in parts, whatever its size."""
        return self._exchange.download(_target(path, query))

    def pages(self, path: str, *, limit: int | None = None, **query: object) -> Iterator[dict[str, Any]]:
        """Items of a native list, page after page, at most ``limit`` of them."""
        return self._items(path, {}, limit, query)

    def listed(
        self, path: str, *, limit: int | None = None, **query: object
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Items as :meth:`pages` has them, and the first page for what else it says."""
        first: dict[str, Any] = {}
        return list(self._items(path, first, limit, query)), first

    def _items(
        self, path: str, first: dict[str, Any], limit: int | None, query: dict[str, object]
    ) -> Iterator[dict[str, Any]]:
        after: object = None
        count = 0
        while True:
            page = self.get(path, after=after, **query)
            if not first:
                first.update(page)
            for item in page["items"]:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield item
            after = page.get("next")
            if not after or (limit is not None and count >= limit):
                return


def _target(path: str, query: dict[str, object]) -> str:
    return with_query(f"/api/v1{path}", query)


def connect(service: str | None, token: str | None, ca: Path | None) -> RemoteService:
    """Open the service that the options, the environment or the stored login name."""
    return RemoteService(resolve(service, token, ca))


def remote_command(app: typer.Typer, name: str, *, negative_values: bool = False) -> Callable[[Verb], Verb]:
    """Declare a verb whose first parameter is a :class:`RemoteService`; adds --service, --token and --ca.

    A verb that takes a device and no catalog gets --catalog, too: it narrows down which device is meant.
    What the verb returns is shown, with --json for programs; a verb that shows more than one thing, or does something
    in between, prints for itself. With ``negative_values`` an argument may be -5: what begins so and is no option of
    the verb is handed to it.
    """

    def register(function: Verb) -> Verb:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = parameters_of(function, passed_over=1)
        options = dict(parameters.options)
        kinds = {key: kind for key, (kind, _) in options.items()}
        flags = flags_of(kinds)
        returns = hints["return"] is Shown
        is_narrowed = "catalog" not in options and any(REFERENCE in typing.get_args(hint) for hint in hints.values())
        if is_narrowed:
            options["catalog"] = (_OfCatalogOption, None)
        if returns:
            options["as_json"] = (JsonOption, False)
        options |= {key: (kind, None) for key, kind in _CONNECTION.items()}

        @functools.wraps(function)
        def call(**values: Any) -> None:
            parts = {key: values.pop(key) for key in _CONNECTION}
            as_json = values.pop("as_json") if returns else False
            with connect(**parts) as remote, naming_options(flags):
                found = resolve_devices(remote, hints, _in_context(remote, kinds, values))
                if is_narrowed:
                    found.pop("catalog")
                whole = resolve_references(remote, kinds, found)
                given = parameters.resolved(remote, whole)
                shown = function(remote, **given)
                if shown is not None:
                    shown.show(as_json=as_json)

        declared(app, name, call, options, negative_values=negative_values)
        return function

    return register


def flags_of(kinds: Mapping[str, Any]) -> frozenset[str]:
    """All names of the options of a verb: ``--expires``, ``-d``."""
    marks = (mark for kind in kinds.values() for mark in typing.get_args(kind) if isinstance(mark, OptionInfo))
    # Typer keeps the first name where its older form has the default.
    flags = (flag for mark in marks for flag in (mark.default, *(mark.param_decls or ())))
    return frozenset(flag for flag in flags if isinstance(flag, str))


@contextlib.contextmanager
def naming_options(flags: frozenset[str]) -> Iterator[None]:
    """Has what the service says of the form of a body's field say it of the option that sets the field."""
    try:
        yield
    except InvalidArgumentError as error:
        field, colon, reason = error.message.partition(": ")
        option = _option_of(field, flags)
        if _FORM_OF_BODIES not in error.remedy or not colon or option is None:
            raise
        said = _SECONDS.sub(_as_typed, reason) if field.endswith("_s") else reason
        raise InvalidArgumentError(
            f"{option}: {said}", code=error.code, remedy=f"Give {option} another value; --help says what it takes."
        ) from error


def _option_of(field: str, flags: frozenset[str]) -> str | None:
    """The option of a verb that sets a field such as ``repeat.every_s``; None where none does, or nobody can tell."""
    name = field.rpartition(".")[2]
    meant = OPTIONS_OF.get(name, (f"--{name.removesuffix('_s').replace('_', '-')}",))
    found = [each for each in meant if each in flags]
    return found[0] if len(found) == 1 else None


def _as_typed(found: re.Match[str]) -> str:
    """Seconds in a sentence as a length of time that an option takes: ``30d``."""
    return f"{found[1]} {duration_text(int(found[2])).replace(' ', '')}"


def _in_context(remote: RemoteService, kinds: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Options with the catalog that is meant, where a command takes one that is not :data:`AS_GIVEN`."""
    if "catalog" not in kinds or AS_GIVEN in typing.get_args(kinds["catalog"]):
        return values
    return {**values, "catalog": meant_catalog(remote, values["catalog"])}


def meant_catalog(remote: RemoteService, given: str | None) -> str | None:
    """The named catalog, else that of the context, which a terminal is told; an empty name means no catalog."""
    if given is not None:
        return given or None
    chosen = os.environ.get(CATALOG_VARIABLE) or remote.catalog
    if chosen and sys.stderr.isatty():
        note(f"catalog {chosen} (armillary context)")
    return chosen or None


def segment(name: str) -> str:
    """A name as one segment of a path.

    InvalidArgumentError for one that would lead to another path: nothing, ``.`` and ``..``.
    """
    if name in ("", ".", ".."):
        raise InvalidArgumentError(f"expected a name, got {name!r}", remedy="Name what the command is about.")
    return quote(name, safe="")
