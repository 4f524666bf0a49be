# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian probe bacnet``: which BACnet/IP device is at an address, and which objects it has."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import noun, record, table
from armillary.guard.discovery.drafting_values import draft_of_values
from armillary.wire.equipment.profile import BacnetIp

verbs = noun()

COLUMNS = ("object_type", "instance", "name", "value", "units", "description")
PORT = 47808
ANY_DEVICE = 4_194_303  # ASHRAE 135 clause 12.11: whichever it is


@verbs.command("bacnet")
def bacnet(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The device.")],
    port: Annotated[int, typer.Option("--port", min=1, max=65535, metavar="N", help="Its UDP port.")] = PORT,
    device: Annotated[
        int, typer.Option("--device", min=0, max=ANY_DEVICE, metavar="N", help="Its instance; by default it is asked.")
    ] = ANY_DEVICE,
    rate: Annotated[
        float, typer.Option("--rate", min=0.1, max=1000, metavar="N", help="At most so many requests a second.")
    ] = 20.0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.01, max=60, metavar="SECONDS", help="How long a reply may take.")
    ] = 2.0,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="Write a draft of a profile.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a BACnet/IP device for its objects.

    Name, present value, units and description of each.
    """
    from armillary.engines.equipment.opening import library  # noqa: PLC0415 - no other command needs links

    with library("bacpypes3"):
        from armillary.engines.equipment.bacnet_discovery import found_device, objects  # noqa: PLC0415
    asked = BacnetIp(host=host, port=port, device=device, timeout_s=timeout)

    async def look() -> tuple[BacnetIp, list[Any]]:
        settings = await found_device(asked)
        return settings, await objects(settings, rate)

    settings, found = asyncio.run(look())
    link = {"protocol": "bacnet-ip", "host": host, "port": port, "device": settings.device, "timeout_s": timeout}
    rows = [asdict(each) for each in found]
    notes = [f"{len(found)} objects; none was written."]
    if profile is not None:
        drafted = [each.drafted for each in found if each.drafted is not None]
        write_file(profile, draft_of_values(link, drafted).encode())
        notes.append(f"A draft is in {profile}. Next: armillary guardian profile check {profile}")
    shown = record({"link": link, "objects": rows}, row=lambda _: {"device": settings.device})
    shown.then("", table(rows, COLUMNS, empty="It lists no objects."), "", *notes).show(as_json=as_json)
