# SPDX-License-Identifier: Apache-2.0
"""``armillary factory``: manufacture many devices in one run that can be interrupted and resumed."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.catalog.factory_run import MAX_DEVICES, FactoryRun, RunOptions, open_run
from armillary.cli.terminal.device_options import ChipOption, SandboxName, StateName
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, noun, record
from armillary.cli.terminal.progress import counting
from armillary.cli.terminal.remote import CaOption, RemoteService, ServiceOption, TokenOption, connect
from armillary.errors import ArmillaryError

app = noun("Factory runs: many devices at once.")

NOTES = 10  # lines that a run without a terminal prints at most


@app.callback()
def factory() -> None:
    """Factory runs: many devices at once."""


@app.command("run")
def run(
    output: Annotated[Path, typer.Option("--output-directory", metavar="DIR", help="Folder of the run.")],
    count: Annotated[int, typer.Option("--count", min=1, max=MAX_DEVICES, metavar="N", help="Devices of the run.")],
    chip: ChipOption = "mt3620",
    sandbox: Annotated[SandboxName, typer.Option("--sandbox", help="What contains their applications.")] = "linux",
    manufacturing_state: Annotated[
        StateName, typer.Option("--manufacturing-state", help="State they are made in; it only moves forward.")
    ] = "DeviceComplete",
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Draw a QR code of each id.")] = True,
    service: ServiceOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make devices, one after the other; the same command goes on.

    Writes a folder for each device, devices.csv and a label with a QR code. It stops at the first
    error. Stopped or killed at any moment, give the same command again: no device is made twice.
    """
    started = time.monotonic()
    with connect(service, token, ca) as remote:
        options = RunOptions(chip=chip, sandbox=sandbox, state=manufacturing_state, service=remote.address)
        with open_run(output, options) as begun:
            missing = begun.missing(count)
            earlier = count - len(missing)
            if earlier:
                note(f"going on: {earlier} of {count} devices are made")
            try:
                _make(begun, missing, remote, labels=labels)
            except ArmillaryError as error:
                done = count - len(begun.missing(count))
                error.remedy = f"{error.remedy} {done} of {count} devices are made; the same command goes on.".strip()
                raise
            finally:
                table = begun.write_table()
    seconds = time.monotonic() - started
    made = {"devices": count, "made": len(missing), "made_before": earlier}
    record({**made, "seconds": round(seconds, 1), "table": str(table)}).show(as_json=as_json)


def _make(begun: FactoryRun, missing: list[int], remote: RemoteService, *, labels: bool) -> None:
    def manufacture(csr: str, chip: str) -> Mapping[str, Any]:
        body = {"csr": csr, "chip": chip, "manufacturing_state": begun.options.state}
        answer: Mapping[str, Any] = remote.post("/factory/devices", body)
        return answer

    every = max(1, len(missing) // NOTES)
    with counting("devices", len(missing)) as further:
        for place, number in enumerate(missing, 1):
            begun.make(number, manufacture, now=time.time, labels=labels)
            further(1)
            if not sys.stderr.isatty() and place % every == 0:
                note(f"{place} of {len(missing)} devices")
