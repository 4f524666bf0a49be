# SPDX-License-Identifier: Apache-2.0
"""Mailbox of a core beside the device: its rules hold though nobody can trust the core, and the device decides who talks."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.device.interface.test_channels import ONE, OTHER, THIRD, Device, End, connect
from tests.engines.real_time.test_emulated import launch
from tests.fixtures.core_firmware import firmware
from tests.fixtures.cores_beside import cores_beside
from tests.fixtures.waiting import until

from armillary.engines.real_time.beside import CoresBeside
from armillary.engines.real_time.within.channel import UNSENT_LIMIT_BYTES, Channel, RemoteMailbox
from armillary.engines.real_time.within.mailbox import QUEUE_LIMIT, Letter
from armillary.engines.sandbox.port import AppEvent, OutputLine
from armillary.engines.sandbox.process import ProcessSandbox
from armillary.wire.device.core_channel import Frame, FrameReader, Kind, encode, pack_letter

pytestmark = pytest.mark.anyio

FLOOD = 3 * QUEUE_LIMIT
SESSION = b"thisone!"
PARTNER = UUID(OTHER)


class FarEnd:
    """A channel, and what is at its other end."""

    def __init__(self) -> None:
        near, self.stream = socket.socketpair()
        near.setblocking(False)
        self.stream.settimeout(10)
        self.channel = Channel(near.detach(), SESSION)
        self.mailbox = RemoteMailbox(self.channel)
        self._reader = FrameReader(sessions=True)

    def send(self, kind: Kind, body: bytes = b"", session: bytes = SESSION) -> None:
        self.stream.sendall(encode(Frame(kind, body, session)))
        for frame in self.channel.exchange():
            self.mailbox.hear(frame)

    def took(self) -> list[tuple[Kind, bytes]]:
        self.channel.exchange()
        frames = self._reader.feed(self.stream.recv(1 << 20))
        return [(each.kind, each.body) for each in frames if isinstance(each, Frame) and each.kind != Kind.STILL]

    def close(self) -> None:
        self.stream.close()
        os.close(self.channel.descriptor)


@pytest.fixture
def far() -> FarEnd:
    return FarEnd()


def result(number: int) -> tuple[Kind, bytes]:
    return Kind.RESULT, number.to_bytes(4, "little")


def test_a_core_that_floods_fills_its_queue_and_no_more(far: FarEnd) -> None:
    for _ in range(QUEUE_LIMIT + 3):
        far.send(Kind.SEND, pack_letter(PARTNER, b"x"))
    assert len(far.mailbox.outgoing) == QUEUE_LIMIT
    assert far.took() == [result(errno.EAGAIN)] * 3
    far.close()


@pytest.mark.parametrize("body", [b"", bytes(16), bytes(17 + 1024)])
def test_a_message_that_is_none_is_refused(far: FarEnd, body: bytes) -> None:
    far.send(Kind.SEND, body)
    assert far.took() == [result(errno.EINVAL)]
    assert not far.mailbox.outgoing
    far.close()


def test_a_core_is_sent_no_more_than_it_has_room_for_whatever_it_says(far: FarEnd) -> None:
    for _ in range(5):
        far.send(Kind.TAKEN)  # of nothing
    given = [far.mailbox.deliver(Letter(PARTNER, b"x")) for _ in range(QUEUE_LIMIT + 2)]
    assert given == [True] * QUEUE_LIMIT + [False, False]
    far.send(Kind.TAKEN)
    assert far.mailbox.has_room
    assert far.took() == [(Kind.MAIL, pack_letter(PARTNER, b"x"))] * QUEUE_LIMIT
    far.close()


def test_frames_of_another_session_and_garbage_are_not_heard(far: FarEnd) -> None:
    far.send(Kind.SEND, pack_letter(PARTNER, b"x"), session=b"another!")
    far.stream.sendall(b"\x84 short\xc0\x99\xc0")
    assert far.channel.exchange() == []
    assert far.channel.garbled == 2
    assert not far.mailbox.outgoing
    far.close()


def test_nothing_is_read_while_too_much_waits_to_be_written(far: FarEnd) -> None:
    while far.channel.reads:
        far.mailbox.settled(errno.EAGAIN)
    assert far.channel.unsent_bytes >= UNSENT_LIMIT_BYTES
    far.stream.close()
    with pytest.raises(OSError):
        far.channel.exchange()
    os.close(far.channel.descriptor)


REACHES = """
static uint8_t sender[16], content[1024], stranger[16] = {[15] = 3};
void core_main(void) {
  for (;;) {
    size_t size = core_receive(sender, content, sizeof content);
    if (!size) { core_wait(); continue; }
    if (sender[15] != 2) core_print("a stranger's message");
    core_send(sender, content, size);
    while (CORE_TX_RESULT == CORE_IN_PROGRESS) {}
    core_send(stranger, content, size);
    while (CORE_TX_RESULT == CORE_IN_PROGRESS) {}
    core_print(CORE_TX_RESULT == 13 ? "refused" : "not refused");
  }
}
"""


async def send_many(end: End, number: int) -> None:
    for _ in range(number):
        await end.send(b"x" * 1024)


async def test_a_core_reaches_its_partner_and_nobody_else_reaches_it_though_it_is_flooded(
    tmp_path: Path,
) -> None:
    said: list[AppEvent] = []
    device = Device(tmp_path)
    with cores_beside(1) as nodes:
        async with device.run(1) as asked, device.run(2) as other, device.run(3) as third:
            made = launch(tmp_path / "core", firmware(REACHES), interface=asked.path)
            made = replace(made, grant=replace(made.grant, partners=frozenset({PARTNER})))
            core = await CoresBeside(ProcessSandbox(), nodes).start(made, said.append)
            try:
                with contextlib.suppress(IndexError):
                    (await connect(third.client(), ONE)).close()
                    pytest.fail("an application that the core does not name has a channel to it")
                end = await connect(other.client(), ONE)
                for number in range(10):
                    await end.send(b"%d" % number)
                    assert await end.take() == b"%d" % number
                flood = asyncio.ensure_future(send_many(end, FLOOD))
                for _ in range(FLOOD):
                    assert await end.take() == b"x" * 1024
                await flood
                lines = [each.text for each in said if isinstance(each, OutputLine) and each.stream == "stdout"]
                assert {*lines} == {"refused"}
                await until(lambda: any(THIRD in getattr(each, "host", "") for each in asked.events), "the report")
                end.close()
            finally:
                await core.stop(10)
