# SPDX-License-Identifier: Apache-2.0
"""A modem that speaks QMI (Qualcomm's), over its character device: the port's calls as requests of four services."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from armillary.engines.modem.opening import open_node
from armillary.engines.modem.port import AccessPoint, ModemGoneError, ModemIdentity, ModemRefusedError, Reception
from armillary.engines.modem.qmi_channel import ANSWER_S, QmiChannel
from armillary.engines.modem.waking import Waking
from armillary.wire.modem import qmi
from armillary.wire.modem.answers import Addressing, Registered
from armillary.wire.modem.qmi import Service, Serving
from armillary.wire.modem.radio import WRONG_PASSWORD, SimState

# Networks, not modems, need the time (as with AT commands).
SEARCH_S: Final = 180.0
ATTACH_S: Final = 40.0
SESSION_S: Final = 150.0
PIN_S: Final = 20.0
# The port says errors in numbers of +CME ERROR, of which these two mean something.
_OF_PIN: Final[Mapping[int, int]] = {qmi.WRONG_PIN: WRONG_PASSWORD, qmi.PIN_BLOCKED: 12}


@contextlib.contextmanager
def open_qmi_modem(node: Path, waking: Waking) -> Iterator[QmiModem]:
    """The modem behind a node, until the block ends; ModemGoneError where none answers."""
    with open_node(node) as descriptor:
        channel = QmiChannel(descriptor, waking)
        modem = QmiModem(channel)
        try:
            modem.begin()
            yield modem
        finally:
            channel.release()


class QmiModem:
    """One modem behind an open channel; the port is ``engines/modem/port.py``."""

    def __init__(self, channel: QmiChannel) -> None:
        self._channel = channel
        self._goes_to = AccessPoint()
        self._handle = qmi.ANY_SESSION

    def begin(self) -> None:
        """Find out whether it answers, and become a client of its services; ModemGoneError."""
        try:
            with contextlib.suppress(ModemRefusedError):
                self._channel.sync()
            for service in Service:
                self._channel.allocate(service)
        except ModemRefusedError as error:
            raise ModemGoneError(error.message) from error
        self._try(Service.NAS, qmi.REGISTER_INDICATIONS, {0x13: b"\x01"})

    def identity(self) -> ModemIdentity:
        """As the port has it."""
        return ModemIdentity(
            maker=qmi.text_of(self._try(Service.DMS, qmi.MAKER), 0x01),
            model=qmi.text_of(self._try(Service.DMS, qmi.MODEL), 0x01),
            imei=qmi.text_of(self._try(Service.DMS, qmi.IDENTITIES), 0x11),
            iccid=qmi.text_of(self._try(Service.DMS, qmi.ICCID), 0x01),
        )

    def sim(self) -> SimState:
        """As the port has it."""
        try:
            return qmi.sim_of(self._ask(Service.UIM, qmi.CARD_STATUS))
        except ModemRefusedError as error:
            return SimState.MISSING if error.number == qmi.NO_SIM else SimState.FAILED

    def enter_pin(self, pin: str) -> None:
        """As the port has it."""
        try:
            self._ask(Service.UIM, qmi.VERIFY_PIN, qmi.verify_pin(pin), PIN_S)
        except ModemRefusedError as error:
            reason = qmi.REASONS.get(error.number or 0, f"QMI error {error.number}")
            raise ModemRefusedError("the PIN", _OF_PIN.get(error.number or 0), reason) from error

    def search(self, operator: str) -> None:
        """As the port has it."""
        self._ask(Service.NAS, qmi.REGISTER, qmi.register(operator), SEARCH_S)

    def registration(self) -> Registered:
        """As the port has it."""
        found = self._serving()
        return Registered("QMI", found.registration, found.technology)

    def reception(self) -> Reception:
        """As the port has it."""
        found, dbm = self._serving(), qmi.strength_of(self._try(Service.NAS, qmi.SIGNAL))
        return Reception(operator=found.operator, technology=found.technology, dbm=dbm)

    def attach(self, access_point: AccessPoint) -> None:
        """The access point is said when the session is started."""
        self._goes_to = access_point
        if not self._serving().is_attached:
            self._ask(Service.NAS, qmi.ATTACH_DETACH, {0x10: b"\x01"}, ATTACH_S)

    def start_session(self) -> Addressing | None:
        """As the port has it."""
        self._try(Service.WDS, qmi.IP_FAMILY, {0x01: bytes([qmi.IPV4])})
        to = self._goes_to
        fields = qmi.start_network(to.name, to.authentication, to.username, to.password)
        try:
            self._handle = qmi.handle_of(self._ask(Service.WDS, qmi.START_NETWORK, fields, SESSION_S))
        except ModemRefusedError as error:
            if error.number != qmi.NO_EFFECT:  # there is one
                raise
        asked = {0x10: struct.pack("<I", qmi.ADDRESSES)}
        return qmi.addressing_of(self._try(Service.WDS, qmi.SETTINGS, asked))

    def session_is_up(self) -> bool:
        """As the port has it."""
        return qmi.is_connected(self._try(Service.WDS, qmi.PACKET_STATUS))

    def end_session(self) -> None:
        """Of whoever started it: the modem is not to start it again by itself either."""
        handle, self._handle = self._handle, qmi.ANY_SESSION
        fields = {0x01: struct.pack("<I", handle)} | ({0x10: b"\x01"} if handle == qmi.ANY_SESSION else {})
        self._try(Service.WDS, qmi.STOP_NETWORK, fields, ATTACH_S)

    def wait(self, seconds: float) -> bool:
        """As the port has it."""
        return self._channel.wait(seconds)

    def _serving(self) -> Serving:
        return qmi.serving_of(self._try(Service.NAS, qmi.SERVING_SYSTEM))

    def _ask(
        self, service: Service, number: int, fields: Mapping[int, bytes] | None = None, within_s: float = ANSWER_S
    ) -> Mapping[int, bytes]:
        return self._channel.ask(service, number, fields or {}, within_s)

    def _try(
        self, service: Service, number: int, fields: Mapping[int, bytes] | None = None, within_s: float = ANSWER_S
    ) -> Mapping[int, bytes]:
        """Ask what a modem need not know; no fields where it refuses."""
        try:
            return self._ask(service, number, fields, within_s)
        except ModemRefusedError:
            return {}
