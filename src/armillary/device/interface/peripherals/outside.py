# SPDX-License-Identifier: Apache-2.0
"""What is outside of simulated peripherals, set and shown by people while a device runs: ``armillary sim peripheral``.

A socket beside those of the applications, which nobody but the device's own user can reach. One frame asks
(``wire/device/interface/frame.py``), one answers, and the connection ends::

    {"show": true}                                                        what is put out, and what was set
    {"set": [{"kind": "Gpio", "name": "12", "value": 1},
             {"kind": "Adc", "name": "ADC-CONTROLLER-0", "channel": 3, "value": 1234},
             {"kind": "I2cMaster", "name": "ISU1", "address": 72, "registers": "1900"},
             {"kind": "I2sSubordinate", "name": "I2S0", "value": 1000}]}                     a tone, 0 for silence

Only simulated peripherals can be set; what is hardware is outside already.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armillary.capability.board import (
    I2C_FIRST,
    I2C_LAST,
    REGISTER_LIMIT,
    SIMULATED_BITS,
    SIMULATED_CHANNELS,
    TONE_LIMIT_HZ,
    TONE_STEP_HZ,
    Board,
)
from armillary.capability.grant import Peripheral
from armillary.device.interface.interface import make_private
from armillary.device.peripherals.use import PeripheralUse
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.wire.device.interface.frame import FrameReader, encode_frame
from armillary.wire.encoding.json_fields import JsonFields

SOCKET = "simulated.sock"
SET_LIMIT = 64  # at once
DEADLINE_S = 10.0  # for a frame to come
if TYPE_CHECKING:
    from armillary.engines.peripherals.simulated import SimulatedBoard

_READ_BYTES = 16 * 1024
_REMEDY = "armillary sim peripheral show prints what there is; docs/reference/boards.md says what can be set."


class Outside:
    """The world of one board's simulated peripherals."""

    def __init__(self, board: Board, world: SimulatedBoard) -> None:
        self._board = board
        self._world = world

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked; raises InvalidArgumentError for anything else than the above, and then nothing was done."""
        fields = JsonFields(message, "request", _REMEDY)
        show, asked = fields.boolean("show", default=False), fields.items("set", most=SET_LIMIT, default=True)
        fields.finish()
        if not show and not asked:
            raise fields.refused("", "show, or set with at least one peripheral", message)
        for act in [self._read(each, f"set[{number}]") for number, each in enumerate(asked)]:
            act()
        return self._world.show()

    def _read(self, document: Any, path: str) -> Any:
        """What one entry asks to be done."""
        fields = JsonFields(document, path, _REMEDY)
        kind = fields.choice("kind", ("Gpio", "Adc", "I2cMaster", "I2sSubordinate"))
        name = fields.text("name", most=64)
        if Peripheral(kind=kind, name=name) not in self._board.simulated:
            raise fields.refused("name", f"a simulated {kind} of board {self._board.name}", name)
        world = self._world
        if kind == "Gpio":
            level = fields.integer("value", 0, 1)
            fields.finish()
            if not world.is_free(name):
                raise fields.refused("name", "an input: what an output puts out is the application's", name)
            return lambda: world.drive(name, level)
        if kind == "Adc":
            channel = fields.integer("channel", 0, SIMULATED_CHANNELS - 1)
            value = fields.integer("value", 0, (1 << SIMULATED_BITS) - 1)
            fields.finish()
            return lambda: world.sample(name, channel, value)
        if kind == "I2sSubordinate":
            tone_hz = fields.integer("value", 0, TONE_LIMIT_HZ)
            fields.finish()
            if tone_hz % TONE_STEP_HZ:
                raise fields.refused("value", f"a tone in steps of {TONE_STEP_HZ} Hz", tone_hz)
            return lambda: world.sounds[name].play(tone_hz)
        address = fields.integer("address", I2C_FIRST, I2C_LAST)
        written = fields.text("registers", most=2 * REGISTER_LIMIT)
        fields.finish()
        try:
            registers = bytes.fromhex(written)
        except ValueError as error:
            raise fields.refused("registers", "bytes in hex, such as 1900", written) from error
        return lambda: world.attach(name, address, registers)


@contextlib.asynccontextmanager
async def outside_door(peripherals: PeripheralUse, folder: Path) -> AsyncIterator[None]:
    """Answer at the socket in ``folder`` for as long as the device runs; nothing where nothing is simulated.

    A host that refuses the socket leaves the device without: it is of no use to applications.
    """
    simulated = peripherals.simulated
    if simulated is None:
        yield
        return
    outside = Outside(*simulated)
    server = None
    with contextlib.suppress(OSError):
        make_private(folder)
        server = await asyncio.start_unix_server(
            lambda reader, writer: _serve(outside, reader, writer), folder / SOCKET
        )
    try:
        yield
    finally:
        if server is not None:
            server.close()
            with contextlib.suppress(OSError):
                (folder / SOCKET).unlink(missing_ok=True)


async def _serve(outside: Outside, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        try:
            async with asyncio.timeout(DEADLINE_S):
                message = await _frame(reader)
            frame = encode_frame({"result": outside.answer(message)})
        except ArmillaryError as error:
            frame = encode_frame({"error": {"message": error.message, "remedy": error.remedy}})
        writer.write(frame)
        await writer.drain()
    writer.close()


async def _frame(reader: asyncio.StreamReader) -> Mapping[str, Any]:
    frames = FrameReader()
    while data := await reader.read(_READ_BYTES):
        for message in frames.feed(data):
            return message
    raise InvalidArgumentError("request: expected a frame, got the end of the connection", remedy=_REMEDY)
