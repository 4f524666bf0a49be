# SPDX-License-Identifier: Apache-2.0
"""A PWM controller by /sys/class/pwm: a channel is exported at its first use, which is how it is held."""

from __future__ import annotations

import errno

from armillary.engines.peripherals.exports import PwmExports, let_go
from armillary.engines.peripherals.kernel import Kernel
from armillary.engines.peripherals.port import PwmState


class KernelPwm:
    """A PWM controller of the host."""

    def __init__(self, kernel: Kernel, chip: str, channels: int, exports: PwmExports) -> None:
        self.channels = channels
        self._kernel = kernel
        self._chip = chip
        self._exports = exports
        self._states: dict[int, PwmState] = {}
        found = kernel.read_text(f"{chip}/npwm")
        if not found.isdigit() or int(found) < channels:
            raise OSError(errno.ENODEV, f"{chip} has {found!a:.20} channels, the board says {channels}")

    def apply(self, channel: int, state: PwmState) -> None:
        """See ``port.PwmController``; only what differs is written, so that a change of duty is without a gap."""
        before = self._states.get(channel)
        if before is None:
            self._export(channel)
            before = self._states[channel] = PwmState(period_ns=0, duty_ns=0, enabled=False)
        folder = f"{self._chip}/pwm{channel}"
        if before.inverted != state.inverted:  # the kernel takes another polarity of a channel that is off only
            if before.enabled:
                self._kernel.write_text(f"{folder}/enable", "0")
            self._kernel.write_text(f"{folder}/polarity", "inversed" if state.inverted else "normal")
        if state.period_ns < before.duty_ns:  # never a duty beyond the period
            self._kernel.write_text(f"{folder}/duty_cycle", "0")
        self._kernel.write_text(f"{folder}/period", str(state.period_ns))
        self._kernel.write_text(f"{folder}/duty_cycle", str(state.duty_ns))
        self._kernel.write_text(f"{folder}/enable", "1" if state.enabled else "0")
        self._states[channel] = state

    def close(self) -> None:
        """See ``port.PwmController``."""
        for channel in sorted(self._states):
            let_go(self._kernel, self._chip, channel)
            self._exports.discard(self._chip, channel)
        self._states.clear()

    def _export(self, channel: int) -> None:
        try:
            self._kernel.write_text(f"{self._chip}/export", str(channel))
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise OSError(errno.EBUSY, f"another program holds channel {channel}") from error
            raise
        self._exports.add(self._chip, channel)
