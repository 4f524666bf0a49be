# SPDX-License-Identifier: Apache-2.0
"""``armillary sim equipment``: a simulated machine on this host, for guardians and for whoever looks at one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import inert, json_text, noun
from armillary.errors import ArmillaryError, HostError
from armillary.sim.equipment.life import Life
from armillary.sim.equipment.machines import MACHINES, Play, Server, begin, serve_line, serve_tcp

app = noun()


@app.command("equipment")
def equipment(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help=f"One of {', '.join(MACHINES)}.")],
    tcp: Annotated[
        int | None,
        typer.Option("--tcp", min=0, max=65535, metavar="PORT", help="Modbus TCP on this host; 0: a free port."),
    ] = None,
    pty: Annotated[
        Path | None,
        typer.Option("--pty", metavar="PATH", help="A pseudo-terminal for a serial line, with a link to it at PATH."),
    ] = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="Laid out by this profile, not by the shipped one.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same number makes the same machine.")] = 1,
    every: Annotated[
        float, typer.Option("--every", min=0, metavar="SECONDS", help="Somebody uses it so often; 0: nobody does.")
    ] = 0.0,
    speed: Annotated[
        float, typer.Option("--speed", min=0.1, max=1000, metavar="X", help="Time in it passes so many times faster.")
    ] = 1.0,
    nameless: Annotated[bool, typer.Option("--nameless", help="It does not say who made it or what it is.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a simulated machine until Ctrl-C.

    It speaks its real protocol and says that it is simulated.

    Lines on standard input are done: an event of the machine (`brew`, `damage 37.4`), `fault KIND [COUNT]` spoils
    replies, `restart` takes its power away, `show` tells what it is like.
    """
    if (tcp is None) is (pty is None):
        raise typer.BadParameter("give one of --tcp and --pty")
    play = Play(seed=seed, every_s=every, speed=speed, nameless=nameless)
    life = begin(machine, play, None if profile is None else _profile(profile))
    asyncio.run(_run(life, tcp, pty, as_json=as_json, nameless=nameless))


def _profile(path: Path) -> Any:
    from armillary.content.equipment import read_text  # noqa: PLC0415 - the YAML library, for this option only

    try:
        return read_text(path.read_bytes(), str(path))
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}", remedy="Name a file that can be read.") from error


async def _run(life: Life, tcp: int | None, pty: Path | None, *, as_json: bool, nameless: bool) -> None:
    server: Server
    if tcp is None:
        server, where = serve_line(life, pty, nameless=nameless)
    else:
        try:
            server, where = await serve_tcp(life, tcp, nameless=nameless)
        except OSError as error:
            raise HostError(f"port {tcp}: {error.strerror}", remedy="Take another one, or 0 for a free one.") from error
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    _say({"equipment": life.profile.name, "simulated": True, "pid": os.getpid(), **where}, as_json=as_json)
    _obey(life, as_json=as_json)
    try:
        await over.wait()
    finally:
        await server.close()


def _obey(life: Life, *, as_json: bool) -> None:
    """Do what is said on standard input; after its end the machine runs on."""
    loop = asyncio.get_running_loop()

    def do(line: str) -> None:
        try:
            _say(life.told(line), as_json=as_json)
        except ArmillaryError as error:
            _say({"error": error.message, "remedy": error.remedy}, as_json=as_json)

    def read() -> None:
        for line in sys.stdin:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(do, line)

    threading.Thread(target=read, daemon=True).start()  # nobody can end a thread that waits for a line


def _say(answer: dict[str, Any], *, as_json: bool) -> None:
    text = json_text(answer) if as_json else _words(answer)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _words(answer: dict[str, Any]) -> str:
    lines = []
    for name, value in answer.items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, each in inner.items():
            shown = (
                f"{each:.6g}" if isinstance(each, float) else json.dumps(each) if not isinstance(each, str) else each
            )
            lines.append(inert(f"{'.'.join(filter(None, (name, key))):<28} {shown}"))
    return "\n".join(lines)
