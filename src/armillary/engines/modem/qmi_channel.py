# SPDX-License-Identifier: Apache-2.0
"""One QMI request at a time over a character device: writes it, waits for its answer, keeps what comes unasked.

A modem that gives no answer in time is as good as gone: it is opened again. Answers to earlier requests are known by
their transaction, and left out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Final

from armillary.engines.modem.line import ModemLine
from armillary.engines.modem.port import ModemGoneError, ModemRefusedError
from armillary.engines.modem.waking import Waking
from armillary.wire.modem import qmi
from armillary.wire.modem.qmi import Service
from armillary.wire.modem.qmux import CONTROL, FrameReader, Kind, QmiMessage, encode_frame

ANSWER_S: Final = 10.0
MAX_UNREAD: Final = 64
OF_INTEREST: Final = frozenset(((Service.NAS, qmi.SERVING_SYSTEM), (Service.WDS, qmi.PACKET_STATUS)))


class QmiChannel:
    """A modem's character device, opened and not blocking; closing it is up to whoever opened it."""

    def __init__(self, descriptor: int, waking: Waking) -> None:
        self._line = ModemLine(descriptor, waking)
        self._frames = FrameReader()
        self._unread: deque[QmiMessage] = deque(maxlen=MAX_UNREAD)
        self._transaction = 0
        self._clients: dict[Service, int] = {}
        self._is_news = False

    def allocate(self, service: Service) -> None:
        """Become a client of a service; raises as :meth:`ask`."""
        given = self._exchange(CONTROL, 0, qmi.ALLOCATE, {0x01: bytes([service])}, ANSWER_S)
        value = given.get(0x01, b"")
        if len(value) != 2 or value[0] != service:
            raise ModemGoneError(f"the modem gives no client number of service {service.name}")
        self._clients[service] = value[1]

    def release(self) -> None:
        """Be a client no more: a modem has few numbers. Nothing is waited for."""
        for service, client in self._clients.items():
            fields = {0x01: bytes([service, client])}
            message = QmiMessage(
                service=CONTROL, client=0, kind=Kind.REQUEST, transaction=1, number=qmi.RELEASE, fields=fields
            )
            try:
                self._line.write(encode_frame(message), time.monotonic())
            except ModemGoneError:
                return

    def ask(self, service: Service, number: int, fields: Mapping[int, bytes], within_s: float) -> Mapping[int, bytes]:
        """Send a request to a service; the fields of its answer.

        Raises:
            ModemRefusedError: the modem says that it failed.
            ModemGoneError: there is no answer in time.
            ModemStoppedError: told to stop.
        """
        return self._exchange(service, self._clients[service], number, fields, within_s)

    def sync(self) -> None:
        """Have the modem forget clients of before; ModemGoneError where it does not answer."""
        self._exchange(CONTROL, 0, qmi.SYNC, {}, ANSWER_S)

    def wait(self, seconds: float) -> bool:
        """Wait so long, until the modem says something of interest, or until woken; whether the modem did."""
        ends_at = time.monotonic() + seconds
        self._is_news = False
        while (left_s := ends_at - time.monotonic()) > 0:
            if self._line.wait(left_s):
                self._unread.extend(self._frames.feed(self._line.read()))
            while self._unread:
                self._look(self._unread.popleft())
            if self._is_news:
                return True
            if self._line.was_rung:
                break
        self._line.was_rung = False
        return False

    def _exchange(
        self, service: int, client: int, number: int, fields: Mapping[int, bytes], within_s: float
    ) -> Mapping[int, bytes]:
        ends_at = time.monotonic() + within_s
        self._transaction = self._transaction % (0xFF if service == CONTROL else 0xFFFF) + 1
        asked = QmiMessage(
            service=service,
            client=client,
            kind=Kind.REQUEST,
            transaction=self._transaction,
            number=number,
            fields=fields,
        )
        self._line.write(encode_frame(asked), ends_at)
        answer = self._answer(asked, ends_at)
        error = qmi.error_of(answer.fields)
        if error is not None:
            raise ModemRefusedError(_name(service, number), error, qmi.REASONS.get(error, f"QMI error {error}"))
        return answer.fields

    def _answer(self, asked: QmiMessage, ends_at: float) -> QmiMessage:
        wanted = (asked.service, asked.client, Kind.RESPONSE, asked.transaction, asked.number)
        while True:
            while not self._unread:
                left_s = ends_at - time.monotonic()
                if left_s <= 0:
                    raise ModemGoneError(f"the modem gives no answer to {_name(asked.service, asked.number)}")
                if self._line.wait(left_s):
                    self._unread.extend(self._frames.feed(self._line.read()))
            message = self._unread.popleft()
            if (message.service, message.client, message.kind, message.transaction, message.number) == wanted:
                return message
            self._look(message)

    def _look(self, message: QmiMessage) -> None:
        if message.service == CONTROL and message.kind is Kind.INDICATION and message.number == qmi.SYNC:
            raise ModemGoneError("the modem has started again")
        self._is_news |= message.kind is Kind.INDICATION and (message.service, message.number) in OF_INTEREST


def _name(service: int, number: int) -> str:
    return qmi.NAMES.get((service, number), f"message 0x{number:04x} of service {service}")
