# SPDX-License-Identifier: Apache-2.0
"""One QMI request at a time over a character device: writes it, waits for its answer, keeps what comes unasked.

A modem that gives no answer in time is as good as gone: it is opened again. Answers to earlier requests are known by
their transaction, and left out.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

from armillary.engines.modem.port import ModemGoneError, ModemRefusedError, ModemStoppedError
from armillary.engines.modem.waking import Waking
from armillary.wire.modem import qmi
from armillary.wire.modem.qmi import Service
from armillary.wire.modem.qmux import CONTROL, FrameReader, Kind, QmiMessage, encode_frame

READ_BYTES: Final = 4096
ANSWER_S: Final = 10.0
MAX_UNREAD: Final = 64
OF_INTEREST: Final = frozenset(((Service.NAS, qmi.SERVING_SYSTEM), (Service.WDS, qmi.PACKET_STATUS)))


class QmiChannel:
    """A modem's character device, opened and not blocking; closing it is up to whoever opened it."""

    def __init__(self, descriptor: int, waking: Waking) -> None:
        self._descriptor = descriptor
        self._waking = waking
        self._was_rung = False  # while an answer was waited for: the next wait ends at once
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
                os.write(self._descriptor, encode_frame(message))
            except OSError:
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
            if self._descriptor in self._select(left_s):
                self._read()
            while self._unread:
                self._look(self._unread.popleft())
            if self._is_news:
                return True
            if self._was_rung:
                break
        self._was_rung = False
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
        self._write(encode_frame(asked), ends_at)
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
                if self._descriptor in self._select(left_s):
                    self._read()
            message = self._unread.popleft()
            if (message.service, message.client, message.kind, message.transaction, message.number) == wanted:
                return message
            self._look(message)

    def _look(self, message: QmiMessage) -> None:
        if message.service == CONTROL and message.kind is Kind.INDICATION and message.number == qmi.SYNC:
            raise ModemGoneError("the modem has started again")
        self._is_news |= message.kind is Kind.INDICATION and (message.service, message.number) in OF_INTEREST

    def _select(self, left_s: float) -> list[int]:
        if self._waking.is_stopping:
            raise ModemStoppedError("told to stop")
        readable, _, _ = select.select([self._descriptor, self._waking.fileno()], [], [], left_s)
        if self._waking.fileno() in readable:
            self._was_rung |= self._waking.heard()
        if self._waking.is_stopping:
            raise ModemStoppedError("told to stop")
        return readable

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise ModemGoneError(f"the modem was pulled out: {error.strerror or error}") from error
        if not data:
            raise ModemGoneError("the modem was pulled out: its line has ended")
        self._unread.extend(self._frames.feed(data))

    def _write(self, data: bytes, ends_at: float) -> None:
        left = data
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                _, writable, _ = select.select([], [self._descriptor], [], max(ends_at - time.monotonic(), 0))
                if not writable:
                    raise ModemGoneError("the modem takes no request") from None
            except OSError as error:
                raise ModemGoneError(f"the modem was pulled out: {error.strerror or error}") from error


def _name(service: int, number: int) -> str:
    return qmi.NAMES.get((service, number), f"message 0x{number:04x} of service {service}")
