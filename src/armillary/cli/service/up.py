# SPDX-License-Identifier: Apache-2.0
"""``armillary up``: the options of the whole service in one process; what it runs is in ``roles/serve.py``."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pydantic
import typer

from armillary.cli.terminal.output import JsonOption, note, record
from armillary.settings import Settings, load_settings

if TYPE_CHECKING:
    from armillary.roles.whole import Whole

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def up(  # noqa: PLR0917 - each is an option of the command line
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder of this service's data.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, TOML.")] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; loopback by default.")
    ] = None,
    public_host: Annotated[
        str | None, typer.Option("--public-host", metavar="NAME", help="Name devices and people reach this service by.")
    ] = None,
    api_port: Annotated[
        int | None, typer.Option("--api-port", metavar="PORT", help="Operator API and console; 0 is a free one.")
    ] = None,
    device_port: Annotated[
        int | None, typer.Option("--device-port", metavar="PORT", help="Device endpoint; 0 is a free one.")
    ] = None,
    hub_port: Annotated[
        int | None, typer.Option("--hub-port", metavar="PORT", help="MQTT over TLS; 0 is a free one.")
    ] = None,
    websocket_port: Annotated[
        str | None,
        typer.Option(
            "--websocket-port",
            metavar="PORT",
            help="The hub a second time, for clients that know 443 only; off is none.",
        ),
    ] = None,
    broker_port: Annotated[
        str | None,
        typer.Option("--broker-port", metavar="PORT", help="General MQTT broker over TLS; 0 is a free one, off none."),
    ] = None,
    bridge_port: Annotated[
        str | None,
        typer.Option(
            "--bridge-port", metavar="PORT", help="Devices that speak hawkBit's DDI; 0 is a free one, off none."
        ),
    ] = None,
    device_workers: Annotated[
        str | None,
        typer.Option(
            "--device-workers", metavar="N", help="Processes for the device endpoint; auto is one a core, 0 none."
        ),
    ] = None,
    series_database: Annotated[
        str | None, typer.Option("--series-database", metavar="URL", help="PostgreSQL database of the hub's series.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run security service, hub, operator API and console until Ctrl-C.

    The first start makes keys, an OS release for each chip profile and one administrator token, which is printed once.
    """
    settings = load_settings(
        config,
        {
            "data": data,
            "host": host,
            "public_host": public_host,
            "api_port": api_port,
            "device_port": device_port,
            "hub_port": hub_port,
            "websocket_port": websocket_port,
            "broker_port": broker_port,
            "bridge_port": bridge_port,
            "device_workers": device_workers,
            "series_database": series_database,
            "log_level": log_level,
        },
    )
    # FastAPI looks for models of Pydantic's first version, which this loads (1.6 MB), at every route: there are none
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]  # an import fails where None stands
    # models of FastAPI and of this API, of which a service uses few, are built at their first use (2 MB)
    pydantic.BaseModel.model_config = pydantic.ConfigDict(defer_build=True)
    _leave_out_entry("uvicorn", Config="config")  # its command line, with a second click and multiprocessing (1.5 MB)
    # structlog's coloured console (4 MB) and SQLAlchemy's asyncio form (2 MB, a C++ runtime with it): never used here
    with _without("rich"), _without("greenlet"):
        from armillary.roles.serve import serve  # noqa: PLC0415 - see the line above
    serve(settings, lambda whole: _say_ready(whole, settings, as_json=as_json), lambda: note("stopping ..."))


def _leave_out_entry(package: str, **names: str) -> None:
    """Have the modules of a package be loaded without its ``__init__``, unless that is loaded already.

    ``names`` are what its modules expect to find in it: each with the module that has it.
    """
    found = importlib.util.find_spec(package)
    if package in sys.modules or found is None:
        return
    made = sys.modules[package] = importlib.util.module_from_spec(found)
    for name, module in names.items():
        setattr(made, name, getattr(importlib.import_module(f"{package}.{module}"), name))


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Have an optional dependency count as not installed while others are imported, unless it is there already.

    Python lets an import fail where None stands as the module.
    """
    absent = package not in sys.modules
    if absent:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules[package]


def _say_ready(whole: Whole, settings: Settings, *, as_json: bool) -> None:
    """Say where everything is."""
    service = whole.service
    address = f"https://{settings.public_host}:{whole.api_port}"
    facts: dict[str, object] = {
        "ready": True,
        "api": address,
        "console": f"{address}/",
        "device_endpoint": service.device_address.url,
        "hub_host": settings.public_host,
        **whole.ports,
        "root_ca": str(whole.root_ca.resolve()),
        "data": str(settings.data.resolve()),
    }
    if service.first_token is not None:
        facts["token"] = service.first_token
    if as_json:  # one line: whoever started this process reads it and knows that it is ready
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        record(facts).print_text()
    sys.stdout.flush()
    if service.first_token is not None and not as_json:
        note("\nThe token is shown this once. Remember it with:")
        note(f"  armillary login --service {address} --ca {facts['root_ca']} --token {service.first_token}")
