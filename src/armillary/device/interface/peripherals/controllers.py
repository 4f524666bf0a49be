# SPDX-License-Identifier: Apache-2.0
"""Methods of PWM and ADC controllers: what a channel puts out, and one sample of a channel."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from armillary.capability.board import CHANNEL_LIMIT
from armillary.device.interface.method import Call, Method
from armillary.device.interface.peripherals.owned import OwnedPeripherals, answered
from armillary.engines.peripherals.port import PERIOD_LIMIT_NS, AdcController, PwmController, PwmState


class Controllers:
    """Answers what applications ask of their controllers."""

    def __init__(self, owned: OwnedPeripherals) -> None:
        self._owned = owned

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("pwm.apply", "Pwm", self._apply),
            Method("adc.read", "Adc", self._read),
        )

    async def _apply(self, call: Call) -> Mapping[str, Any]:
        """Put out this from now on, also after the application has ended."""
        controller = self._owned.named(call, "Pwm", "controller")
        parameters = call.parameters
        channel = parameters.integer("channel", 0, CHANNEL_LIMIT - 1)
        period_ns = parameters.integer("period_ns", 1, PERIOD_LIMIT_NS)
        state = PwmState(
            period_ns=period_ns,
            duty_ns=parameters.integer("duty_ns", 0, period_ns),
            inverted=parameters.boolean("inverted", default=False),
            enabled=parameters.boolean("enabled", default=True),
        )
        parameters.finish()

        def apply(opened: PwmController) -> None:
            _check(channel, opened.channels)
            opened.apply(channel, state)

        await self._owned.use.controller(controller, apply)
        return answered(self._owned.use, controller)

    async def _read(self, call: Call) -> Mapping[str, Any]:
        """One sample."""
        controller = self._owned.named(call, "Adc", "controller")
        channel = call.parameters.integer("channel", 0, CHANNEL_LIMIT - 1)
        call.parameters.finish()

        def read(opened: AdcController) -> tuple[int, int]:
            _check(channel, opened.channels)
            return opened.read(channel), opened.bits

        value, bits = await self._owned.use.controller(controller, read)
        return answered(self._owned.use, controller, value=value, bits=bits)


def _check(channel: int, channels: int) -> None:
    if channel >= channels:
        raise OSError(errno.EINVAL, f"the controller has channels 0 to {channels - 1}")
