# SPDX-License-Identifier: Apache-2.0
"""Starts the service of ``armillary up``, and reads its options where they are plain.

The service's process goes on for months with what its start has loaded. The library of the command line is left out of
it (1.9 MB, and 25 ms of the start): options that are nothing but names with values are read here, and all others
(``--help``, misspelt ones, bad numbers) by the command in ``up.py``, which answers them as every command does.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pydantic

from armillary.cli import plain_options as plain
from armillary.cli.terminal.output import note, record
from armillary.device.loading import hollow
from armillary.roles.absent import absent
from armillary.settings import Settings, load_settings

if TYPE_CHECKING:
    from armillary.roles.whole import Whole

# The options that have a value: the setting's name, and what reads the value. ``up.py`` declares them with their help.
OPTIONS: Mapping[str, Callable[[str], object]] = {
    "data": Path,
    "config": Path,
    "host": str,
    "public_host": str,
    "api_port": plain.port,
    "device_port": plain.port,
    "hub_port": plain.port,
    "websocket_port": str,
    "broker_port": str,
    "bridge_port": str,
    "device_workers": str,
    "series_database": str,
    "log_level": str,
}

# Names of this host for itself, for which the service's certificate always is; and addresses at which they lead to it.
OWN_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
AT_OWN_NAMES: Final = OWN_NAMES | {"0.0.0.0", "::"}  # noqa: S104 - compared, nothing listens on them for it


def plain_options(arguments: Sequence[str]) -> dict[str, object] | None:
    """The options by name; None where the command must read them."""
    return plain.plain_options(arguments, OPTIONS)


def start(options: Mapping[str, object]) -> None:
    """Run the service with these options until Ctrl-C: settings by name, None for not given; ``config``; ``as_json``.

    Raises:
        ArmillaryError: the settings are wrong, or it cannot start.
    """
    given = dict(options)
    config, as_json = given.pop("config", None), bool(given.pop("as_json", False))
    settings = load_settings(config if isinstance(config, Path) else None, given)
    # FastAPI looks for models of Pydantic's first version, which this loads (1.6 MB), at every route: there are none
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]  # an import fails where None stands
    # models of FastAPI and of this API, of which a service uses few, are built at their first use (2 MB)
    pydantic.BaseModel.model_config = pydantic.ConfigDict(defer_build=True)
    # structlog's coloured console (4 MB) and SQLAlchemy's asyncio form (2 MB, a C++ runtime with it): never used here
    # the reader of uvicorn's own settings of logs, of which we give it none, with servers and queues (0.8 MB)
    with absent("rich"), absent("greenlet"), hollow("logging.config"):
        _leave_out_entry("uvicorn", Config="config")  # its command line, with a click and multiprocessing (1.5 MB)
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


def host_here(settings: Settings) -> str:
    """The host name at which this host itself reaches the service: ``public_host`` may be a name for others alone."""
    is_for_others = settings.public_host not in OWN_NAMES and settings.host in AT_OWN_NAMES
    return "localhost" if is_for_others else settings.public_host


def _say_ready(whole: Whole, settings: Settings, *, as_json: bool) -> None:
    """Say where everything is: under the name for everybody, and where that is another one, on this host."""
    service = whole.service
    address = f"https://{settings.public_host}:{whole.api_port}"
    here = f"https://{host_here(settings)}:{whole.api_port}"
    facts: dict[str, object] = {
        "ready": True,
        "api": address,
        "console": f"{address}/",
        **({} if here == address else {"on_this_host": f"{here}/"}),
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
        note(f"  armillary login --service {here} --ca {facts['root_ca']} --token {service.first_token}")
        if here != address:
            note(f"On other hosts, for which {settings.public_host} leads here: --service {address}")
