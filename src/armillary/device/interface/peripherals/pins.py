# SPDX-License-Identifier: Apache-2.0
"""Methods of pins: an application gets the descriptor of a line, where the kernel has one, and of no other line.

The line is the application's until its run ends. Where a pin is simulated there is no descriptor, and levels and edges
go over the interface; they do so beside a descriptor as well, but for edges, which are read there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from functools import partial
from typing import Any, get_args
from weakref import WeakKeyDictionary

from armillary.capability.grant import Peripheral
from armillary.device.interface.method import Answer, Call, Method
from armillary.device.interface.peripherals.owned import OwnedPeripherals, answered
from armillary.device.interface.session import Session
from armillary.engines.peripherals.port import Bias, Drive, Edges, Line, LineRequest

WAIT_LIMIT_MS = 60_000
_Lines = dict[Peripheral, Line]


class Pins:
    """Answers what applications ask of their pins."""

    def __init__(self, owned: OwnedPeripherals) -> None:
        self._owned = owned
        self._lines: WeakKeyDictionary[Session, _Lines] = WeakKeyDictionary()

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("gpio.open-output", "Gpio", self._open_output),
            Method("gpio.open-input", "Gpio", self._open_input),
            Method("gpio.get", "Gpio", self._get),
            Method("gpio.set", "Gpio", self._set),
            Method("gpio.wait", "Gpio", self._wait),
            Method("gpio.close", "Gpio", self._close),
        )

    async def _open_output(self, call: Call) -> Answer:
        pin = self._owned.pin(call)
        level = call.parameters.integer("level", 0, 1)
        drive: Drive = call.parameters.choice("drive", get_args(Drive), default="push-pull")  # type: ignore[assignment]
        call.parameters.finish()
        return await self._open(call, pin, LineRequest(output=True, level=level, drive=drive))

    async def _open_input(self, call: Call) -> Answer:
        pin = self._owned.pin(call)
        edges: Edges = call.parameters.choice("edges", get_args(Edges), default="none")  # type: ignore[assignment]
        bias: Bias = call.parameters.choice("bias", get_args(Bias), default="as-is")  # type: ignore[assignment]
        call.parameters.finish()
        return await self._open(call, pin, LineRequest(output=False, edges=edges, bias=bias))

    async def _open(self, call: Call, pin: Peripheral, request: LineRequest) -> Answer:
        """Begin to use a pin, or use it in another way from now on."""
        lines = self._of(call.session)
        if pin in lines:
            await self._owned.use.run(pin, partial(lines[pin].configure, request))
        else:
            lines[pin] = self._owned.use.line(pin, request)
        descriptor = lines[pin].descriptor
        descriptors = () if descriptor is None else (os.dup(descriptor),)
        return Answer(result=answered(self._owned.use, pin), descriptors=descriptors)

    async def _get(self, call: Call) -> Mapping[str, Any]:
        pin = self._owned.pin(call)
        call.parameters.finish()
        level = await self._owned.use.run(pin, self._opened(call, pin).get)
        return answered(self._owned.use, pin, level=level)

    async def _set(self, call: Call) -> Mapping[str, Any]:
        pin = self._owned.pin(call)
        level = call.parameters.integer("level", 0, 1)
        call.parameters.finish()
        await self._owned.use.run(pin, partial(self._opened(call, pin).set, level))
        return answered(self._owned.use, pin)

    async def _wait(self, call: Call) -> Mapping[str, Any]:
        pin = self._owned.pin(call)
        timeout_ms = call.parameters.integer("timeout_ms", 0, WAIT_LIMIT_MS)
        call.parameters.finish()
        edge = await self._opened(call, pin).edge(timeout_ms / 1000)
        return answered(self._owned.use, pin, edge=edge)

    async def _close(self, call: Call) -> None:
        pin = self._owned.pin(call)
        call.parameters.finish()
        self._opened(call, pin).close()
        del self._lines[call.session][pin]

    def _of(self, session: Session) -> _Lines:
        """The open lines of a run, which are closed when it ends."""
        if session not in self._lines:
            lines: _Lines = {}
            self._lines[session] = lines
            session.on_close(lambda: _close(lines))
        return self._lines[session]

    def _opened(self, call: Call, pin: Peripheral) -> Line:
        line = self._lines.get(call.session, {}).get(pin)
        if line is None:
            raise OSError(errno.EBADF, f"pin {pin.name} is not open: gpio.open-output or gpio.open-input first")
        return line


def _close(lines: _Lines) -> None:
    while lines:
        lines.popitem()[1].close()
