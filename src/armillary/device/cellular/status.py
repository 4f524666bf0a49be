# SPDX-License-Identifier: Apache-2.0
"""What the uplink says of itself: to the device's status, to its API, to the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from armillary.device.cellular.states import MEANING, UplinkState
from armillary.device.cellular.waits import WAITS
from armillary.engines.modem.port import ModemIdentity, Reception
from armillary.wire.modem.radio import Registration, SimState


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkStatus:
    """One moment. ``reason`` is why it gets no further, in the words of whoever refused; empty where nobody did."""

    state: UplinkState = UplinkState.NO_MODEM
    reason: str = ""
    sim: SimState = SimState.UNKNOWN
    registration: Registration = Registration.UNKNOWN
    modem: ModemIdentity = field(default_factory=ModemIdentity)
    reception: Reception = field(default_factory=Reception)
    interface: str = ""
    address: str = ""
    sessions: int = 0  # that came up since the start

    @property
    def is_up(self) -> bool:
        """Whether the data session is there."""
        return self.state is UplinkState.CONNECTED

    @property
    def is_settled(self) -> bool:
        """Whether it stays like this for a while, as far as anybody knows."""
        return self.state in WAITS

    @property
    def sentence(self) -> str:
        """What the state means, and why."""
        return f"{MEANING[self.state]}: {self.reason}" if self.reason else MEANING[self.state]

    def shown(self) -> dict[str, Any]:
        """For the status file and the device's API."""
        return {
            "state": self.state.value,
            "meaning": self.sentence,
            "sim": self.sim.value,
            "registration": self.registration.value,
            "operator": self.reception.operator,
            "technology": self.reception.technology.value,
            "signalDbm": self.reception.dbm,
            "interface": self.interface,
            "address": self.address,
            "sessions": self.sessions,
            "maker": self.modem.maker,
            "model": self.modem.model,
            "imei": self.modem.imei,
            "iccid": self.modem.iccid,
        }
