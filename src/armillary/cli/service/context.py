# SPDX-License-Identifier: Apache-2.0
"""``armillary context``: the service and the catalog that commands mean when their options name none."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from armillary.cli.terminal.connection import (
    SERVICE_VARIABLE,
    remember_catalog,
    remembered,
    stored_path,
)
from armillary.cli.terminal.files import explained
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, record
from armillary.cli.terminal.remote import CATALOG_VARIABLE, RemoteService, remote_command
from armillary.cli.terminal.remote_names import catalog_path

app = noun("Context: the service and catalog of commands that name none.")

NamedCatalog = Annotated[
    str, typer.Option("--catalog", "-c", "--name", metavar="NAME", help="Catalog of commands that name none.")
]


@app.command("show")
def show(as_json: JsonOption = False) -> None:
    """Show which service and catalog commands mean.

    A variable of the environment goes before what is remembered.
    """
    login = remembered(stored_path())
    service = os.environ.get(SERVICE_VARIABLE) or login.get("service")
    kept = login.get("catalog") if login.get("service") == service else None
    catalog = os.environ.get(CATALOG_VARIABLE) or kept
    found = {
        "service": service,
        "service_from": _whence(SERVICE_VARIABLE, service, "login"),
        "catalog": catalog or None,
        "catalog_from": _whence(CATALOG_VARIABLE, catalog, "context"),
    }
    row = {"service": _with_source(found, "service"), "catalog": _with_source(found, "catalog")}
    hint = None if service else "Log in: armillary login --service URL --token TOKEN --ca FILE."
    Shown(found).then(record(row), hint).show(as_json=as_json)


@remote_command(app, "use")
def use(remote: RemoteService, name: NamedCatalog) -> None:
    """Remember a catalog for commands that name none."""
    found = remote.management.call("GET", catalog_path(remote, name))
    path = stored_path()
    with explained(path, "cannot be written", remedy=f"Set {CATALOG_VARIABLE} instead."):
        remember_catalog(remote.address, found["name"], path)
    note(f"commands that name no catalog mean {found['name']} from now on")


@app.command("clear")
def clear() -> None:
    """Forget the catalog; the login stays."""
    path = stored_path()
    login = remembered(path)
    if not login.get("catalog"):
        note("no catalog is remembered")
        return
    with explained(path, "cannot be written"):
        remember_catalog(login["service"], "", path)
    note(f"catalog {login['catalog']} is no longer meant by commands that name none")


def _whence(variable: str, value: str | None, stored: str) -> str | None:
    """Where a value comes from."""
    if not value:
        return None
    return variable if os.environ.get(variable) else stored


def _with_source(found: dict[str, str | None], name: str) -> str | None:
    value = found[name]
    return value and f"{value} ({found[f'{name}_from']})"
