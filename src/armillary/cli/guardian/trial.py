# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian test``: the reads of a profile once, against a simulated machine or a real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import typer

from armillary.cli.guardian.profile_file import read_profile_file
from armillary.cli.guardian.profile_view import place_text
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, table
from armillary.errors import InvalidArgumentError
from armillary.guard.compiling import CompiledProfile, compile_profile
from armillary.guard.decoding import bad, decode
from armillary.guard.interface import display_unit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import FramedSerial, ModbusRtu, ModbusTcp, Profile
from armillary.wire.equipment.reading import Quality, Reading

verbs = noun()

POINT_COLUMNS = ("point", "value", "unit", "quality", "place")
# How often somebody uses the simulated machine, so that all that it sends by itself comes soon.
USED_EVERY_S: Final = 0.3


@verbs.command("test")
def try_profile(
    profile: Annotated[
        str, typer.Argument(metavar="PROFILE", help="A profile (YAML, JSON, signed) or a shipped one's name.")
    ],
    link: Annotated[
        list[str] | None,
        typer.Option("--link", metavar="NAME=VALUE", help="A setting of the real link, host=10.9.0.2; repeatable."),
    ] = None,
    port: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="NAME=NODE", help="Node of a serial port, UART2=/dev/ttyUSB0; repeatable."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=0.1, max=3600, metavar="SECONDS", help="How long frames are waited for (framed serial)."
        ),
    ] = 10.0,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Keeps the certificate of OPC UA; else a new one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read every point of a profile once; nothing is written.

    Without --link and --port from a simulated machine that is laid out by the profile. Exit code 1 where a point is
    not good.
    """
    compiled = compile_profile(read_profile_file(profile))
    overrides = dict(_setting(compiled.profile, each) for each in link or [])
    ports = {name: Path(node) for name, node in map(_pair, port or [])}
    with link_folder(data) as folder:
        trial = asyncio.run(_tried(compiled, overrides, ports, folder, seconds))
    _shown(compiled, trial).show(as_json=as_json)


@dataclass
class Trial:
    """What one round of reads came to."""

    simulated: bool
    readings: list[Reading] = field(default_factory=list)
    reads: list[dict[str, Any]] = field(default_factory=list)
    unlisted: int = 0  # Frames of a kind or length that the profile does not have
    counters: dict[str, int] = field(default_factory=dict)


async def _tried(
    compiled: CompiledProfile, overrides: dict[str, object], ports: dict[str, Path], folder: Path, seconds: float
) -> Trial:
    from armillary.engines.equipment.opening import open_link  # noqa: PLC0415 - links, for this command only

    trial = Trial(simulated=not (overrides or ports))
    async with _machine(compiled.profile, overrides, ports):
        line = open_link(compiled.profile.link, ports, overrides, folder=folder)
        try:
            await _read(compiled, line, trial)
            await _listen(compiled, line, trial, seconds)
        finally:
            await line.close()
        trial.counters = asdict(line.counters)
    return trial


@asynccontextmanager
async def _machine(profile: Profile, overrides: dict[str, object], ports: dict[str, Path]) -> AsyncIterator[None]:
    """A simulated machine where no real one is named; its place is put into ``overrides`` or ``ports``."""
    if overrides or ports:
        yield
        return
    from armillary.content.equipment import load  # noqa: PLC0415 - without a real machine only
    from armillary.sim.equipment.life import Life  # noqa: PLC0415
    from armillary.sim.equipment.machines import MACHINES, Play, Server, begin, serve_line, serve_tcp  # noqa: PLC0415
    from armillary.sim.equipment.stand_in import StandIn  # noqa: PLC0415

    link = profile.link
    if not isinstance(link, (ModbusTcp, ModbusRtu, FramedSerial)):
        raise InvalidArgumentError(
            f"there is no simulated machine for the link of {profile.name}",
            remedy="Name a real one: --link NAME=VALUE.",
        )
    shipped = {load(name).name: name for name in MACHINES}.get(profile.name)
    life = Life(profile, StandIn(profile))
    if shipped is not None:
        life = begin(shipped, Play(every_s=USED_EVERY_S), profile)
    server: Server
    if isinstance(link, ModbusTcp):
        server, where = await serve_tcp(life, 0)
        overrides |= {"host": where["host"], "port": where["port"]}
    else:
        server, where = serve_line(life, None)
        ports[link.port] = Path(where["port"])
    try:
        yield
    finally:
        await server.close()


async def _read(compiled: CompiledProfile, line: Any, trial: Trial) -> None:
    from armillary.guard.deciding import decide  # noqa: PLC0415 - with the link

    for block in compiled.blocks:
        begun, error = time.monotonic(), None
        try:
            readings = decode(block, await line.exchange(decide(compiled.allow, block.request)), time.time())
        except LinkError as fault:
            readings, error = bad(block, time.time()), fault.message
        trial.readings += readings
        first, count = block.span
        milliseconds = round(1000 * (time.monotonic() - begun), 1)
        trial.reads.append(
            {"group": block.group, "first": first, "count": count, "milliseconds": milliseconds, "error": error}
        )


async def _listen(compiled: CompiledProfile, line: Any, trial: Trial, seconds: float) -> None:
    """Wait for one frame of each kind that the profile has."""
    missing = dict(compiled.frames)
    error = f"none came within {seconds:g} s"
    try:
        async with asyncio.timeout(seconds):
            while missing:
                frame = await line.receive()
                block = compiled.frames.get(frame.kind)
                if block is None or len(frame.payload) != block.length:
                    trial.unlisted += 1
                elif missing.pop(frame.kind, None) is not None:
                    trial.readings += decode(block, frame, time.time())
                    trial.reads.append({"frame": frame.kind, "error": None})
    except LinkError as fault:
        error = fault.message
    except TimeoutError:
        pass
    for kind, block in missing.items():
        trial.readings += bad(block, time.time())
        trial.reads.append({"frame": kind, "error": error})


def _shown(compiled: CompiledProfile, trial: Trial) -> Shown:
    points = {each.name: each for each in compiled.profile.all_points}
    rows = []
    for reading in trial.readings:
        point = points[reading.point]
        shown = {"point": point.name, "value": reading.value, "unit": display_unit(point.unit)}
        rows.append({**shown, "quality": reading.quality, "place": place_text(point.address)})
    good = sum(each.quality is Quality.GOOD for each in trial.readings)
    document = {
        "profile": compiled.profile.name,
        "version": compiled.profile.version,
        "simulated": trial.simulated,
        "good": good,
        "points": rows,
        "reads": trial.reads,
        "unlisted_frames": trial.unlisted,
        "counters": trial.counters,
    }
    seen = [{**row, "value": _cell(row["value"]), "unit": "" if row["unit"] == "none" else row["unit"]} for row in rows]
    people = table(seen, POINT_COLUMNS, empty="The profile has no points.").then(*_notes(trial, good))
    return Shown(document, people.print_text, exit_code=0 if good == len(rows) else 1)


def _notes(trial: Trial, good: int) -> Iterator[str]:
    machine = "a simulated machine" if trial.simulated else "the equipment"
    yield f"{good} of {len(trial.readings)} points are good, from {machine}; nothing was written."
    for read in trial.reads:
        if read["error"] is not None:
            place = f"frame 0x{read['frame']:02x}" if "frame" in read else f"{read['first']}, {read['count']} values"
            yield f"read of {place}: {read['error']}"
    if trial.unlisted:
        yield f"{trial.unlisted} frames came that the profile does not have, or with another length."


def _cell(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


@contextmanager
def link_folder(data: Path | None) -> Iterator[Path]:
    """Where our own certificate for OPC UA is; without one named for this time only."""
    if data is not None:
        yield data
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise InvalidArgumentError(f"{text!r:.60} is no NAME=VALUE", remedy="Such as host=10.9.0.2.")
    return name, value


def _setting(profile: Profile, text: str) -> tuple[str, object]:
    """A setting of the link, as the kind of value that the profile has for it."""
    name, value = _pair(text)
    known: Mapping[str, object] = asdict(profile.link)
    kinds = {"true": True, "false": False}
    if isinstance(known.get(name), str):
        return name, value
    if value in kinds:
        return name, kinds[value]
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value
