# SPDX-License-Identifier: Apache-2.0
"""``armillary sim peripheral``: what is outside of the simulated peripherals of a device that runs on this host."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.device_options import DataOption
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, table
from armillary.device.interface.interface import socket_folder
from armillary.device.interface.peripherals.outside import SOCKET
from armillary.device.state.layout import DeviceFolder
from armillary.errors import HostError, InvalidArgumentError
from armillary.wire.device.interface.frame import FrameReader, encode_frame

DEADLINE_S = 10.0
EXAMPLES = "Gpio:12=1, Adc:ADC-CONTROLLER-0:3=1234, I2cMaster:ISU1:0x48=1900 or I2sSubordinate:I2S0=1000"
_GPIO = re.compile(r"Gpio:([0-9]{1,4})=([01])")
_ADC = re.compile(r"Adc:([A-Z][A-Z0-9_-]{0,63}):([0-9]{1,2})=([0-9]{1,9})")
_I2C = re.compile(r"I2cMaster:([A-Z][A-Z0-9_-]{0,63}):0x([0-9a-f]{2})=((?:[0-9a-fA-F]{2}){1,256})")
_I2S = re.compile(r"I2sSubordinate:([A-Z][A-Z0-9_-]{0,63})=([0-9]{1,5})")

app = noun()
peripheral = noun("Simulated peripherals of a device that runs on this host.", within=app, name="peripheral")


@peripheral.command("show")
def show(data: DataOption, as_json: JsonOption = False) -> None:
    """Show levels, samples, outputs and devices of simulated peripherals."""
    _shown(_ask(data, {"show": True})).show(as_json=as_json)


@peripheral.command("set")
def set_values(
    values: Annotated[
        list[str], typer.Argument(metavar="PERIPHERAL=VALUE...", help=f"What is outside of it: {EXAMPLES}.")
    ],
    data: DataOption,
    as_json: JsonOption = False,
) -> None:
    """Set levels, ADC samples, I2C devices, and tones at sound buses."""
    _shown(_ask(data, {"set": [parse_value(each) for each in values]})).show(as_json=as_json)


def parse_value(text: str) -> dict[str, Any]:
    """What one argument asks to be set. Raises InvalidArgumentError."""
    if found := _GPIO.fullmatch(text):
        return {"kind": "Gpio", "name": found[1], "value": int(found[2])}
    if found := _ADC.fullmatch(text):
        return {"kind": "Adc", "name": found[1], "channel": int(found[2]), "value": int(found[3])}
    if found := _I2C.fullmatch(text):
        return {"kind": "I2cMaster", "name": found[1], "address": int(found[2], 16), "registers": found[3]}
    if found := _I2S.fullmatch(text):
        return {"kind": "I2sSubordinate", "name": found[1], "value": int(found[2])}
    raise InvalidArgumentError(
        f"PERIPHERAL=VALUE: expected {EXAMPLES}, got {text!a:.60}",
        remedy="armillary sim peripheral show prints what there is.",
    )


def _ask(data: Path, message: dict[str, Any]) -> dict[str, Any]:
    """Ask the device of a data folder; raises HostError if none answers, InvalidArgumentError if it refuses."""
    folder = DeviceFolder(data)
    folder.check()
    frames = FrameReader()
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(DEADLINE_S)
            stream.connect(str(socket_folder(folder.run) / SOCKET))
            stream.sendall(encode_frame(message))
            while received := stream.recv(65536):
                for answer in frames.feed(received):
                    return _result(answer)
    except OSError as error:
        raise HostError(
            f"{data}: expected a device that runs on a board with simulated peripherals, got {error}",
            remedy="Start it: armillary device boot --data DIR --board mt3620-simulated.",
        ) from error
    raise HostError(f"{data}: the device ended the connection without an answer", remedy="Try again.")


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise InvalidArgumentError(answer["error"]["message"], remedy=answer["error"]["remedy"])
    found: dict[str, Any] = answer["result"]
    return found


def _shown(found: dict[str, Any]) -> Shown:
    rows = [{"peripheral": name, "is": value} for name, value in _rows(found)]
    shown = table(rows, ("peripheral", "is"), empty="No simulated peripheral was used or set yet.")
    return Shown(found, shown.print_text)


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of each thing, as it is set, and what it is."""
    for pin, each in found["Gpio"].items():
        yield f"Gpio:{pin}", f"{each['level']} {each['used']}".strip()
    for name, channels in found["Adc"].items():
        yield from ((f"Adc:{name}:{channel}", str(value)) for channel, value in channels.items())
    for name, channels in found["Pwm"].items():
        for channel, state in channels.items():
            yield f"Pwm:{name}:{channel}", f"{state['duty_ns']} of {state['period_ns']} ns"
    for name, devices in found["I2cMaster"].items():
        yield from ((f"I2cMaster:{name}:{address}", registers or "00") for address, registers in devices.items())
    for name, each in found["I2sSubordinate"].items():
        yield f"I2sSubordinate:{name}", f"{each['tone_hz']} Hz in, {each['frames_out']} frames out"
