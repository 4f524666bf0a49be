# SPDX-License-Identifier: Apache-2.0
"""``armillary sim modem``: a simulated cellular modem on this host, for devices and for whoever speaks AT commands."""

from __future__ import annotations

import os
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import inert, json_text, noun
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.sim.modem.link import QemuLink
from armillary.sim.modem.modem import SimulatedModem
from armillary.sim.modem.qmi import SimulatedQmiModem
from armillary.sim.modem.script import EVENTS, read_script
from armillary.sim.modem.serving import Line, ServedModem, SocketLine, TerminalLine

LINE_LIMIT_CHARACTERS: Final = 1024

app = noun()


@app.command("modem")
def modem(
    pty: Annotated[
        Path | None,
        typer.Option("--pty", metavar="PATH", help="A pseudo-terminal for its line, with a link to it at PATH."),
    ] = None,
    socket: Annotated[
        Path | None, typer.Option("--socket", metavar="PATH", help="A socket that QEMU listens at, as its line.")
    ] = None,
    link: Annotated[
        Path | None,
        typer.Option("--link", metavar="PATH", help="QEMU's socket for QMP: the card's link follows the session."),
    ] = None,
    qmi: Annotated[bool, typer.Option("--qmi", help="It speaks QMI at its line, and no AT commands.")] = False,
    card: Annotated[str, typer.Option("--card", metavar="ID", help="With --link: the id of the card.")] = "modem",
    script: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="TOML: what changes around it, and when.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a simulated cellular modem until Ctrl-C.

    It speaks AT commands (3GPP TS 27.007), or QMI, and says that it is simulated. Nothing is sent: there is no radio.

    Lines on standard input are done: `signal_dbm = -110`, `registration = "denied"`, `has_sim = false` change what is
    around it, `drop-session`, `detach` and `restart` happen.
    """
    if (pty is None) is (socket is None):
        raise typer.BadParameter("give one of --pty and --socket")
    steps = () if script is None else read_script(script)
    line: Line = TerminalLine(pty) if socket is None else SocketLine(socket)

    def say(event: dict[str, Any]) -> None:
        text = json_text(event) if as_json else " ".join(f"{name}={value}" for name, value in event.items())
        sys.stdout.write(f"{inert(text)}\n")
        sys.stdout.flush()

    switch = None if link is None else QemuLink(link, card).switch
    kind = SimulatedQmiModem if qmi else SimulatedModem
    simulated = kind(session_changed=lambda up: _session_changed(say, switch, up=up))
    with ServedModem(simulated, line, steps, lambda text: say({"script": text})) as served:
        say({"modem": "simulated", "pid": os.getpid(), "line": str(pty or socket)})
        threading.Thread(target=_obey, args=(served, say), daemon=True).start()
        threading.Event().wait()


def _session_changed(say: Callable[[dict[str, Any]], None], switch: Callable[[bool], None] | None, *, up: bool) -> None:
    """Tell it, and have the card follow; a machine that is off is no end of the modem."""
    say({"session": "up" if up else "down"})
    if switch is not None:
        try:
            switch(up)
        except ArmillaryError as error:
            say({"link": "not switched", "reason": error.message})


def _obey(served: ServedModem, say: Callable[[dict[str, Any]], None]) -> None:
    """Do what lines on standard input say; what is wrong is told."""
    while line := sys.stdin.readline(LINE_LIMIT_CHARACTERS):
        try:
            if line.strip() in EVENTS:
                served.event(line.strip())
            elif line.strip():
                served.change(**_change(line))
        except ArmillaryError as error:
            say({"refused": error.message})


def _change(line: str) -> dict[str, Any]:
    try:
        return tomllib.loads(line)
    except ValueError as error:
        raise InvalidArgumentError(
            f"expected NAME = VALUE or one of {', '.join(EVENTS)}, got {line.strip()!a:.60}",
            remedy="Texts stand in quotes, as in TOML.",
        ) from error
