# SPDX-License-Identifier: Apache-2.0
"""Keeps the data session of a modem up: one thread that asks the modem, and steps through the table of ``states``.

A thread, since a modem may take minutes for an answer, and since the first session has to be up before there is a
device whose loop could drive it. Everything else sees a status, which is replaced whole.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from armillary.device.cellular.configuration import CellularConfiguration, CellularSettings
from armillary.device.cellular.interface import Traffic, UplinkInterface
from armillary.device.cellular.states import (
    SIM_EVENTS,
    STEPS,
    Step,
    UplinkEvent,
    UplinkState,
    advance,
    registration_event,
)
from armillary.device.cellular.status import UplinkStatus
from armillary.device.cellular.waits import NEWS_ENDS_NO_WAIT, PIN_SETTLES_S, Waits
from armillary.engines.modem.at import open_at_modem
from armillary.engines.modem.port import Modem, ModemGoneError, ModemIdentity, ModemRefusedError, ModemStoppedError
from armillary.engines.modem.waking import Waking
from armillary.errors import ArmillaryError
from armillary.wire.modem.radio import WRONG_PASSWORD, Registration, SimState

E = UplinkEvent
# A modem that always says something is asked no more often than this.
LEAST_PAUSE_S: Final = 0.2
_PUK_WANTED: Final = 12
_STOP_WITHIN_S: Final = 5.0

OpenModem = Callable[[Path, Waking], AbstractContextManager[Modem]]


class CellularUplink:
    """The uplink through one modem; :meth:`start` it once, :meth:`stop` it at the end.

    Args:
        find_node: The node of the modem now; None where there is none.
        interface: What its session comes out of; None where nobody uses it here.
        scale: Of all waits; tests make them short.
    """

    def __init__(
        self,
        find_node: Callable[[], Path | None],
        configuration: CellularConfiguration,
        interface: UplinkInterface | None,
        *,
        open_modem: OpenModem = open_at_modem,
        scale: float = 1.0,
    ) -> None:
        self.configuration = configuration
        self.status = UplinkStatus(interface="" if interface is None else interface.name)
        self._find_node = find_node
        self._interface = interface
        self._open_modem = open_modem
        self._waits = Waits(scale)
        self._pause_s = LEAST_PAUSE_S * scale
        self._pin_settles_s = PIN_SETTLES_S * scale
        self._given_pin = ""  # to the SIM, which has not been ready since
        self._pin_given_at = 0.0
        self._waking = Waking()
        self._is_changed = threading.Event()
        self._listeners: list[Callable[[UplinkStatus], None]] = []
        self._thread = threading.Thread(target=self._run, name="cellular uplink", daemon=True)

    def listen(self, hear: Callable[[UplinkStatus], None]) -> Callable[[], None]:
        """Call this with each new status, in the uplink's thread; returns what ends it."""
        self._listeners.append(hear)
        return lambda: self._listeners.remove(hear)

    def shown(self) -> dict[str, Any]:
        """The status, and what the interface has counted: for the status file and the device's API."""
        return {**self.status.shown(), "bytesReceived": self.traffic.received, "bytesSent": self.traffic.sent}

    @property
    def traffic(self) -> Traffic:
        """What the interface has counted until now; nothing where the session comes out of none."""
        return Traffic() if self._interface is None else self._interface.traffic()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and use the interface no more. The modem keeps its session: the next start ends it."""
        self._waking.stop()
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)
        if not self._thread.is_alive():
            self._waking.close()

    def change(self, asked: Mapping[str, Any]) -> CellularSettings:
        """Change the configuration, and begin again with it; RequestRefusedError."""
        made = self.configuration.change(asked)
        self._is_changed.set()
        self._waking.ring()
        return made

    # In the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._waking.is_stopping:
                self._turn()
        except ModemStoppedError:
            pass
        finally:
            if self._interface is not None and self.status.is_up:
                self._interface.down()

    def _turn(self) -> None:
        """Open the modem and drive it until it is gone or switched off; wait where it cannot be, or is not to be."""
        try:
            if self.configuration.settings.is_enabled:
                self._with_modem()
                return
            event = E.SWITCHED_OFF
        except ModemStoppedError:
            raise
        except ArmillaryError as error:  # it is gone, or the flash does not say whether it is to be used
            self._given_pin = ""  # its SIM may be another one when it is back
            self._say(modem=ModemIdentity(), reason=error.message)
            event = E.MODEM_GONE
        self._rest(self._enter(event))

    def _with_modem(self) -> None:
        """Open the modem and drive it until it is switched off; ModemGoneError."""
        with self._open_modem(self._node(), self._waking) as modem:
            modem.end_session()  # of whoever had it before: its access point may be another
            self._say(modem=modem.identity(), reason="")
            self._drive(modem)

    def _node(self) -> Path:
        node = self._find_node()
        if node is None:
            raise ModemGoneError("this machine has none")
        return node

    def _drive(self, modem: Modem) -> None:
        wait_s = self._enter(E.MODEM_ANSWERS)
        while True:
            self._wait(modem, wait_s)
            if self._is_changed.is_set():
                wait_s = self._begin_again(modem)
                continue
            event = self._next(modem)
            if event is E.SWITCHED_OFF:
                break
            wait_s = self._enter(event)
        modem.end_session()
        self._is_changed.clear()

    def _wait(self, modem: Modem, seconds: float) -> None:
        """Wait so long, or until woken; where that does not ask a network too often, until the modem says something."""
        ends_at = time.monotonic() + seconds
        while (left_s := ends_at - time.monotonic()) > 0:
            if not modem.wait(left_s):
                return
            time.sleep(self._pause_s)
            if self.status.state not in NEWS_ENDS_NO_WAIT:
                return

    def _next(self, modem: Modem) -> UplinkEvent:
        """Take the next step, unless it is switched off; what was found."""
        try:
            return self._step(modem) if self.configuration.settings.is_enabled else E.SWITCHED_OFF
        except (ModemGoneError, ModemStoppedError):
            raise
        except ArmillaryError as error:  # the flash fails, or is full: it may be well again
            self._say(reason=error.message)
            return E.HINDERED

    def _begin_again(self, modem: Modem) -> float:
        self._is_changed.clear()
        self._waits.begin_again()
        modem.end_session()
        self._say(reason="")
        return self._enter(E.CHANGED)

    def _rest(self, seconds: float) -> None:
        """Wait without a modem."""
        select.select([self._waking.fileno()], [], [], seconds)
        self._waking.heard()
        if self._is_changed.is_set():
            self._is_changed.clear()
            self._waits.begin_again()
            self._enter(E.CHANGED)

    def _enter(self, event: UplinkEvent) -> float:
        """Take the step's event; seconds until the next step."""
        before = self.status.state
        after = advance(before, event)
        if before is UplinkState.CONNECTED and after is not before and self._interface is not None:
            self._interface.down()
        sessions = self.status.sessions + (after is UplinkState.CONNECTED and before is not after)
        address = self.status.address if after is UplinkState.CONNECTED else ""
        self._say(state=after, sessions=sessions, address=address)
        return self._waits.after(before, after, time.monotonic())

    def _say(self, **fields: Any) -> None:
        """Replace the status, and tell whoever listens where it is another."""
        before, self.status = self.status, replace(self.status, **fields)
        if before != self.status:
            for hear in tuple(self._listeners):
                hear(self.status)

    def _step(self, modem: Modem) -> UplinkEvent:
        """Do what the state asks for; what was found."""
        match STEPS[self.status.state]:
            case Step.ASK_SIM:
                event = self._ask_sim(modem)
            case Step.ENTER_PIN:
                event = self._enter_pin(modem)
            case Step.CHECK_PIN:
                event = self._check_pin(modem)
            case Step.ASK_REGISTRATION:
                event = self._ask_registration(modem)
            case Step.ATTACH:
                event = self._attempt(lambda: modem.attach(self.configuration.settings.goes_to), E.ATTACHED)
            case Step.START_SESSION:
                event = self._attempt(lambda: self._start_session(modem), E.SESSION_UP)
            case Step.CHECK_SESSION:
                event = self._check_session(modem)
            case _:
                raise ModemGoneError("no modem is open")
        return event

    def _ask_sim(self, modem: Modem) -> UplinkEvent:
        found = modem.sim()
        self._say(sim=found)
        if found is SimState.MISSING:
            self._given_pin = ""  # the next one that is ready may be another, which has not taken it
        if found is SimState.READY:
            with contextlib.suppress(ArmillaryError):  # it is said, and tried again, once the session is up
                self._pin_was_taken()
            if not self.status.modem.iccid:
                self._say(modem=modem.identity())  # a SIM that wants its PIN says nothing of itself
        return SIM_EVENTS[found]

    def _enter_pin(self, modem: Modem) -> UplinkEvent:
        has_pin = bool(self.configuration.settings.pin)
        pin = self.configuration.use_pin()
        if not pin:
            return E.PIN_WRONG if has_pin else E.NO_PIN
        self._given_pin = pin
        try:
            modem.enter_pin(pin)
        except ModemRefusedError as error:
            self._given_pin = ""
            if error.number == _PUK_WANTED:
                return E.PUK_WANTED
            self._say(reason="" if error.number == WRONG_PASSWORD else error.message)
            return E.PIN_WRONG
        self._pin_given_at = time.monotonic()
        self._say(reason="")
        return E.PIN_GIVEN

    def _check_pin(self, modem: Modem) -> UplinkEvent:
        """Ask the SIM that was given its PIN; one that wants it for long has not taken it."""
        event = self._ask_sim(modem)
        has_settled = time.monotonic() - self._pin_given_at >= self._pin_settles_s
        return E.PIN_WRONG if event is E.PIN_WANTED and has_settled else event

    def _pin_was_taken(self) -> None:
        """The SIM is ready: what it was given is its PIN. DataFolderError where that cannot be kept."""
        if self._given_pin:
            self.configuration.pin_was_taken(self._given_pin)
            self._given_pin = ""

    def _ask_registration(self, modem: Modem) -> UplinkEvent:
        settings, found = self.configuration.settings, modem.registration()
        if found.registration is Registration.IDLE:
            with contextlib.suppress(ModemRefusedError):
                modem.search(settings.operator)
            found = modem.registration()
        self._say(registration=found.registration)
        event = registration_event(found.registration, roaming=settings.allows_roaming)
        if event is E.REGISTERED:
            self._say(reception=modem.reception())
        return event

    def _start_session(self, modem: Modem) -> None:
        given = modem.start_session()
        address = "" if given is None else str(given.address)
        if self._interface is not None:
            try:
                address = self._interface.up(given)
            except OSError as error:
                modem.end_session()
                raise ArmillaryError(f"{self._interface.name}: {error.strerror or error}") from error
        self._say(address=address, reason="")

    def _attempt(self, attempt: Callable[[], None], succeeded: UplinkEvent) -> UplinkEvent:
        """Try what modem, network or host may refuse; the reason is kept."""
        try:
            attempt()
        except (ModemGoneError, ModemStoppedError):
            raise
        except ArmillaryError as error:
            self._say(reason=error.message)
            return E.REFUSED
        return succeeded

    def _check_session(self, modem: Modem) -> UplinkEvent:
        if not modem.session_is_up():
            self._say(reason="")
            return E.SESSION_GONE
        found = modem.registration().registration
        self._say(registration=found, reception=modem.reception())
        roaming = self.configuration.settings.allows_roaming
        if registration_event(found, roaming=roaming) is E.ROAMING_NOT_WANTED:
            modem.end_session()
            return E.ROAMING_NOT_WANTED
        self._pin_was_taken()
        self._say(reason="")
        return E.SESSION_UP
