# SPDX-License-Identifier: Apache-2.0
"""A modem that answers what a test says, at once: nothing of it is a language, a line or a radio."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Iterator
from pathlib import Path

from armillary.device.cellular.configuration import CellularConfiguration
from armillary.device.cellular.uplink import CellularUplink
from armillary.engines.flash.file import FileFlash
from armillary.engines.modem.port import (
    AccessPoint,
    ModemIdentity,
    ModemRefusedError,
    ModemStoppedError,
    Reception,
)
from armillary.engines.modem.waking import Waking
from armillary.errors import FlashFullError
from armillary.wire.modem.answers import Addressing, Registered
from armillary.wire.modem.radio import Registration, SimState, Technology


class PlayedModem:
    """``sim_says`` is asked for each answer of the SIM; ``pins`` has what it was given, the rest counts."""

    def __init__(self, sim_says: Callable[[], SimState] = lambda: SimState.READY) -> None:
        self.sim_says = sim_says
        self.refuses_sessions = False
        self.is_talkative = False
        self.registration_is = Registration.HOME
        self.pins: list[str] = []
        self.sessions = 0
        self.searches = 0
        self.looks = 0  # at the registration
        self._voice: Waking | None = None  # while somebody has opened it
        self.said = 0  # how often it said something while it was waited for
        self._waking: Waking | None = None

    @contextlib.contextmanager
    def open(self, node: Path, waking: Waking) -> Iterator[PlayedModem]:  # noqa: ARG002 - of the port
        self._waking, self._voice = waking, Waking()
        try:
            yield self
        finally:
            self._voice.close()

    def identity(self) -> ModemIdentity:
        return ModemIdentity(iccid="8901")

    def sim(self) -> SimState:
        self._check_stopped()
        return self.sim_says()

    def enter_pin(self, pin: str) -> None:
        self.pins.append(pin)

    def search(self, operator: str) -> None:  # noqa: ARG002 - of the port
        self.searches += 1

    def registration(self) -> Registered:
        self._check_stopped()
        self.looks += 1
        return Registered("CEREG", self.registration_is, Technology.LTE)

    def reception(self) -> Reception:
        return Reception()

    def attach(self, access_point: AccessPoint) -> None:
        pass

    def start_session(self) -> Addressing | None:
        self.sessions += 1
        if self.refuses_sessions:
            raise ModemRefusedError("a session", 33, "not subscribed")
        return None

    def session_is_up(self) -> bool:
        return True

    def end_session(self) -> None:
        pass

    def wait(self, seconds: float) -> bool:
        assert self._waking is not None
        assert self._voice is not None
        while True:
            self._check_stopped()
            if self._waking.heard():
                return False
            if self.is_talkative:
                self.said += 1
                return True
            if not select.select([self._waking, self._voice], [], [], seconds)[0]:
                return False
            self._voice.heard()

    def talk(self) -> None:
        """Say something whenever somebody waits, from now on."""
        self.is_talkative = True
        if self._voice is not None:
            self._voice.ring()

    def _check_stopped(self) -> None:
        assert self._waking is not None
        if self._waking.is_stopping:
            raise ModemStoppedError("told to stop")


class FailingFlash(FileFlash):
    """Flash of a folder that takes nothing, or gives nothing, while it is told so; counts what it took."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_full = False
        self.is_unreadable = False
        self.written = 0

    def read(self, region: str) -> bytes | None:
        if self.is_unreadable:
            raise FlashFullError(f"{region}: Input/output error")
        return super().read(region)

    def write(self, region: str, data: bytes) -> None:
        if self.is_full:
            raise FlashFullError(f"{region}: No space left on device")
        self.written += 1
        super().write(region, data)


def uplink_of(modem: PlayedModem, flash: FileFlash, scale: float) -> CellularUplink:
    """The uplink through a played modem, not started."""
    return CellularUplink(
        lambda: Path("/dev/null"), CellularConfiguration(flash), None, open_modem=modem.open, scale=scale
    )
