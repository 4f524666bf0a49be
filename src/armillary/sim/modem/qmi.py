# SPDX-License-Identifier: Apache-2.0
"""The simulated modem's QMI: frames in, frames out. No clock and no line: ``serving`` has them.

It has the messages that a device needs for SIM, network and data session, by the public description in libqmi; what it
does not know it refuses as modems do. There is no radio, and it says that it is simulated.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Any, ClassVar, Final

from armillary.sim.modem.modem import ICCID, IMEI, MAKER, MODEL
from armillary.sim.modem.radio import DENIED, HOME, IDLE, PIN_TRIES, PUK_TRIES, ROAMING, SEARCHING, Radio
from armillary.sim.modem.script import check_changes
from armillary.wire.modem import qmi
from armillary.wire.modem.qmi import Service
from armillary.wire.modem.qmux import CONTROL, FrameReader, Kind, QmiMessage, encode_frame

Fields = Mapping[int, bytes]
HANDLE: Final = 0x0A0B0C0D
DISCONNECTED: Final = 1
_STATES: Final = {IDLE: 0, HOME: 1, ROAMING: 1, SEARCHING: 2, DENIED: 3}
_RADIOS: Final = {0: 4, 2: 5, 7: 8, 8: 8, 9: 8, 11: 12}  # <AcT> of 27.007: GSM, UMTS, LTE and its kin, 5G
_MOST_CLIENTS: Final = 16


class QmiError(Exception):
    """A request fails with this number of QMI_PROTOCOL_ERROR."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class SimulatedQmiModem:
    """One modem; ``session_changed`` is called with whether its data session is up, each time that changes."""

    def __init__(self, radio: Radio | None = None, session_changed: Callable[[bool], None] | None = None) -> None:
        self.radio = radio or Radio()
        self.is_session_up = False
        self.is_attached = False
        self.pin_tries = PIN_TRIES
        self._session_changed = session_changed or (lambda _: None)
        self._is_unlocked = False
        self._frames = FrameReader()
        self._clients: dict[tuple[int, int], None] = {}
        self._told = False  # whether somebody wants to hear of the network

    def receive(self, data: bytes) -> bytes:
        """What it answers to these bytes; nothing while a frame is not whole."""
        asked = [each for each in self._frames.feed(data) if each.kind is Kind.REQUEST]
        said = b"".join(map(self._answer, asked))
        if self.radio.is_silent:
            return b""
        return b"\x02\xff~garbage\x01" + said if said and self.radio.is_garbled else said

    def change(self, **changes: Any) -> bytes:
        """Change what is around it; what it says about that unasked. InvalidArgumentError."""
        check_changes(changes)
        before = self.radio.status
        for name, value in changes.items():
            setattr(self.radio, name, value)
        if not self.radio.has_sim:
            self._is_unlocked = self.is_attached = False
        if not self.radio.is_in_network or not self.radio.has_sim:
            self.is_attached = False
            self._end_session()
        return b"" if self.radio.status == before else self._tell_network()

    def drop_session(self) -> bytes:
        """The network ends the session."""
        if not self.is_session_up:
            return b""
        self._end_session()
        return self._indicate(Service.WDS, qmi.PACKET_STATUS, {0x01: bytes([DISCONNECTED, 0])})

    def detach(self) -> bytes:
        """The network detaches the modem, and with it the session."""
        said = self.drop_session()
        self.is_attached = False
        return said + self._tell_network()

    def restart(self) -> bytes:
        """It starts again, as it does after a fault: everything that was set is forgotten."""
        self._end_session()
        self.is_attached = self._is_unlocked = self._told = False
        self._clients.clear()
        return self._indication(CONTROL, 0, qmi.SYNC, {})

    @property
    def _wants_pin(self) -> bool:
        return bool(self.radio.pin) and not self._is_unlocked

    def _end_session(self) -> None:
        if self.is_session_up:
            self.is_session_up = False
            self._session_changed(False)

    def _answer(self, asked: QmiMessage) -> bytes:
        try:
            fields = {qmi.RESULT: bytes(4), **self._done(asked)}
        except QmiError as error:
            fields = {qmi.RESULT: struct.pack("<HH", 1, error.number)}
        return encode_frame(
            QmiMessage(
                service=asked.service,
                client=asked.client,
                kind=Kind.RESPONSE,
                transaction=asked.transaction,
                number=asked.number,
                fields=fields,
            )
        )

    def _done(self, asked: QmiMessage) -> Fields:
        """Do what is asked; the fields of the answer."""
        if asked.service != CONTROL and (asked.service, asked.client) not in self._clients:
            raise QmiError(qmi.BAD_CLIENT)
        answer = self._ANSWERS.get((asked.service, asked.number))
        if answer is None:
            raise QmiError(qmi.UNKNOWN_MESSAGE)
        return answer(self, asked.fields)

    def _indicate(self, service: Service, number: int, fields: Fields) -> bytes:
        clients = [client for each, client in self._clients if each == service]
        return b"".join(self._indication(service, client, number, fields) for client in clients)

    @staticmethod
    def _indication(service: int, client: int, number: int, fields: Fields) -> bytes:
        return encode_frame(
            QmiMessage(
                service=service, client=client, kind=Kind.INDICATION, transaction=0, number=number, fields=fields
            )
        )

    def _tell_network(self) -> bytes:
        return self._indicate(Service.NAS, qmi.SERVING_SYSTEM, self._serving({})) if self._told else b""

    # Messages -----------------------------------------------------------------------------------------------------

    def _versions(self, _: Fields) -> Fields:
        listed = b"".join(struct.pack("<BHH", each, 1, 0) for each in (CONTROL, *Service))
        return {0x01: bytes([len(Service) + 1]) + listed}

    def _allocate(self, given: Fields) -> Fields:
        service = int.from_bytes(given.get(0x01, b"\xff"), "little")
        if service not in list(Service):
            raise QmiError(qmi.UNKNOWN_MESSAGE)
        taken = {client for each, client in self._clients if each == service}
        client = next((each for each in range(1, _MOST_CLIENTS + 1) if each not in taken), None)
        if client is None:
            raise QmiError(5)  # all are taken
        self._clients[(service, client)] = None
        return {0x01: bytes([service, client])}

    def _release(self, given: Fields) -> Fields:
        value = given.get(0x01, b"")
        if len(value) != 2:
            raise QmiError(qmi.MISSING)
        self._clients.pop((value[0], value[1]), None)
        return {0x01: value}

    def _sync(self, _: Fields) -> Fields:
        self._clients.clear()
        return {}

    def _identities(self, _: Fields) -> Fields:
        return {0x10: b"0", 0x11: IMEI.encode(), 0x12: b""}

    def _iccid(self, _: Fields) -> Fields:
        self._need_sim()
        return {0x01: ICCID.encode()}

    def _card_status(self, _: Fields) -> Fields:
        indices = struct.pack("<HHHH", 0, 0xFFFF, 0xFFFF, 0xFFFF)
        if not self.radio.has_sim:
            return {0x10: indices + bytes([1, 0, 0, 0, 0, 3, 0])}
        application = 3 if self.pin_tries == 0 else 2 if self._wants_pin else 7
        pin = 4 if self.pin_tries == 0 else 1 if self._wants_pin else 2 if self.radio.pin else 3
        card = bytes([1, 0, 0, 0, 0, 1, 2, application, 2 if application == 7 else 0, 11, 0, 0, 0])
        return {0x10: indices + b"\x01" + card + bytes([0, pin, self.pin_tries, PUK_TRIES, 3, PIN_TRIES, PUK_TRIES])}

    def _verify_pin(self, given: Fields) -> Fields:
        self._need_sim(unlocked=False)
        value = given.get(0x02, b"")
        if len(value) < 2 or value[0] != 1 or len(value) != value[1] + 2:
            raise QmiError(qmi.MISSING)
        if not self._wants_pin:
            raise QmiError(qmi.NO_EFFECT)
        if self.pin_tries == 0:
            raise QmiError(qmi.PIN_BLOCKED)
        if value[2:] != self.radio.pin.encode():
            self.pin_tries -= 1
            raise QmiError(qmi.WRONG_PIN if self.pin_tries else qmi.PIN_BLOCKED)
        self.pin_tries, self._is_unlocked = PIN_TRIES, True
        return {0x10: bytes([PIN_TRIES, PUK_TRIES])}

    def _register_indications(self, given: Fields) -> Fields:
        self._told = given.get(0x13, b"\0") == b"\x01" or self._told
        return {}

    def _register(self, given: Fields) -> Fields:
        self._need_sim()
        if given.get(0x01) == b"\x02":
            where = given.get(0x10, b"")
            if len(where) != 5:
                raise QmiError(qmi.MISSING)
            country, network = struct.unpack_from("<HH", where)
            if f"{country:03}{network:02}" != self.radio.operator_digits:
                raise QmiError(qmi.NOT_READY)
        if self.radio.registration == IDLE:
            self.radio.registration = HOME
        return {}

    def _attach_detach(self, given: Fields) -> Fields:
        self._need_network()
        if self.radio.attach_refused:
            raise QmiError(qmi.NOT_READY)
        self.is_attached = given.get(0x10) == b"\x01"
        return {}

    def _serving(self, _: Fields) -> Fields:
        is_in = self.radio.is_in_network and self.radio.has_sim and not self._wants_pin
        state = _STATES[self.radio.registration] if self.radio.has_sim and not self._wants_pin else 0
        attached = 1 if self.is_attached else 2
        radios = bytes([1, _RADIOS.get(self.radio.technology, 8)]) if is_in else b"\0"
        fields = {0x01: bytes([state, attached, attached, 2 if is_in else 0]) + radios}
        if is_in:
            digits, name = self.radio.operator_digits, self.radio.operator.encode("ascii", "replace")[:64]
            fields[0x10] = bytes([self.radio.registration != ROAMING])
            fields[0x12] = struct.pack("<HHB", int(digits[:3]), int(digits[3:]), len(name)) + name
        return fields

    def _signal(self, _: Fields) -> Fields:
        self._need_network()
        dbm = max(self.radio.signal_dbm, -128)
        if _RADIOS.get(self.radio.technology, 8) != 8:
            return {0x12: struct.pack("<b", dbm)}
        return {0x14: struct.pack("<bbhh", max(dbm + 20, -128), -10, dbm, 100)}

    def _start(self, given: Fields) -> Fields:
        self._need_network()
        name = given.get(0x14, b"").decode("ascii", "replace")
        if self.is_session_up:
            raise QmiError(qmi.NO_EFFECT)
        if self.radio.session_refused or (self.radio.access_point and name not in ("", self.radio.access_point)):
            raise QmiError(qmi.CALL_FAILED)
        self.is_attached = self.is_session_up = True
        self._session_changed(True)
        return {0x01: struct.pack("<I", HANDLE)}

    def _stop(self, given: Fields) -> Fields:
        if not self.is_session_up:
            raise QmiError(qmi.NO_EFFECT)
        if given.get(0x01) not in (struct.pack("<I", HANDLE), struct.pack("<I", qmi.ANY_SESSION)):
            raise QmiError(qmi.MISSING)
        self._end_session()
        return {}

    def _packet_status(self, _: Fields) -> Fields:
        return {0x01: bytes([qmi.CONNECTED if self.is_session_up else DISCONNECTED])}

    def _settings(self, _: Fields) -> Fields:
        if not self.is_session_up:
            raise QmiError(15)  # out of call
        radio = self.radio
        named = {0x1E: radio.address, 0x21: radio.mask, 0x20: radio.gateway, 0x15: radio.name_servers.split(",")[0]}
        addresses = {kind: IPv4Address(text).packed[::-1] for kind, text in named.items() if text}
        return {0x14: radio.access_point.encode(), **addresses, 0x2B: bytes([qmi.IPV4])}

    def _need_sim(self, *, unlocked: bool = True) -> None:
        if not self.radio.has_sim:
            raise QmiError(qmi.NO_SIM)
        if unlocked and self._wants_pin:
            raise QmiError(16)  # not provisioned

    def _need_network(self) -> None:
        self._need_sim()
        if not self.radio.is_in_network:
            raise QmiError(qmi.NOT_READY)

    _ANSWERS: ClassVar[Mapping[tuple[int, int], Callable[[SimulatedQmiModem, Fields], Fields]]] = {
        (CONTROL, qmi.VERSIONS): _versions,
        (CONTROL, qmi.ALLOCATE): _allocate,
        (CONTROL, qmi.RELEASE): _release,
        (CONTROL, qmi.SYNC): _sync,
        (Service.DMS, qmi.MAKER): lambda *_: {0x01: MAKER.encode()},
        (Service.DMS, qmi.MODEL): lambda *_: {0x01: MODEL.encode()},
        (Service.DMS, qmi.IDENTITIES): _identities,
        (Service.DMS, qmi.ICCID): _iccid,
        (Service.UIM, qmi.CARD_STATUS): _card_status,
        (Service.UIM, qmi.VERIFY_PIN): _verify_pin,
        (Service.NAS, qmi.REGISTER_INDICATIONS): _register_indications,
        (Service.NAS, qmi.REGISTER): _register,
        (Service.NAS, qmi.ATTACH_DETACH): _attach_detach,
        (Service.NAS, qmi.SERVING_SYSTEM): _serving,
        (Service.NAS, qmi.SIGNAL): _signal,
        (Service.WDS, qmi.START_NETWORK): _start,
        (Service.WDS, qmi.STOP_NETWORK): _stop,
        (Service.WDS, qmi.PACKET_STATUS): _packet_status,
        (Service.WDS, qmi.SETTINGS): _settings,
        (Service.WDS, qmi.IP_FAMILY): lambda *_: {},
    }
