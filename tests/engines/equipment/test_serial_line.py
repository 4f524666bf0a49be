# SPDX-License-Identifier: Apache-2.0
"""A serial port: raw, shaped, for one process alone, and one error for whatever is wrong with it."""

from __future__ import annotations

import asyncio
import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.waiting import until, wait_until

from armillary.engines.equipment.serial_line import LineShape, SerialLine
from armillary.wire.equipment.faults import LinkError, ProfileError

SHAPE = LineShape(9600, "E", 1)


def nothing(_: object) -> None:
    pass


def fill(line: SerialLine) -> None:
    for _ in range(10_000):
        line.write(bytes(256))


@pytest.fixture
def terminal() -> Iterator[tuple[int, Path]]:
    master, slave = pty.openpty()
    yield master, Path(os.ttyname(slave))
    for each in (master, slave):
        os.close(each)


def test_every_byte_goes_through_as_it_is(terminal: tuple[int, Path]):
    master, path = terminal
    everything = bytes(range(256))

    async def test() -> None:
        came: list[bytes] = []
        line = SerialLine(path, SHAPE)
        line.open(came.append, nothing)
        line.write(everything)
        assert wait_until(lambda: os.read(master, 300), "bytes") == everything
        os.write(master, everything)
        await until(lambda: len(b"".join(came)) == 256, "all bytes")
        assert b"".join(came) == everything
        line.close()

    asyncio.run(test())


def test_the_port_has_the_speed_and_is_raw(terminal: tuple[int, Path]):
    async def test() -> None:
        line = SerialLine(terminal[1], LineShape(57600, "N", 2))
        line.open(nothing, nothing)
        incoming, outgoing, control, local, *speeds, _ = termios.tcgetattr(line._descriptor)
        assert speeds == [termios.B57600, termios.B57600]
        assert control & termios.CSTOPB
        assert (incoming & termios.IXON, outgoing, local) == (0, 0, 0)
        line.close()
        line.close()

    asyncio.run(test())


def test_a_port_belongs_to_one_alone(terminal: tuple[int, Path]):
    async def test() -> None:
        line = SerialLine(terminal[1], SHAPE)
        line.open(nothing, nothing)
        with pytest.raises(LinkError, match="in use"):
            SerialLine(terminal[1], SHAPE).open(nothing, nothing)
        line.close()
        other = SerialLine(terminal[1], SHAPE)
        other.open(nothing, nothing)
        other.close()

    asyncio.run(test())


def test_what_is_no_port_is_named(tmp_path: Path):
    async def test(path: Path) -> None:
        with pytest.raises(LinkError) as caught:
            SerialLine(path, SHAPE).open(nothing, nothing)
        assert caught.value.reason == "unreachable"
        assert str(path) in str(caught.value)
        assert "(" not in caught.value.message

    (tmp_path / "file").touch()
    asyncio.run(test(tmp_path / "absent"))
    asyncio.run(test(tmp_path / "file"))
    asyncio.run(test(tmp_path))
    asyncio.run(test(Path("/dev/null")))


def test_a_port_that_takes_nothing_more_is_not_waited_for(terminal: tuple[int, Path]):
    async def test() -> None:
        line = SerialLine(terminal[1], SHAPE)
        line.open(nothing, nothing)
        with pytest.raises(LinkError, match="takes no more"):
            fill(line)
        line.close()
        with pytest.raises(LinkError, match="closed"):
            line.write(b"x")

    asyncio.run(test())


def test_a_port_that_is_gone_is_told_once():
    async def test() -> None:
        master, slave = pty.openpty()
        lost: list[LinkError] = []
        line = SerialLine(Path(os.ttyname(slave)), SHAPE)
        line.open(nothing, lost.append)
        os.close(slave)
        os.close(master)
        await until(lambda: lost, "the loss")
        assert not line.is_open
        assert len(lost) == 1

    asyncio.run(test())


def test_writing_to_a_port_that_is_gone_is_a_link_error():
    async def test() -> None:
        master, slave = pty.openpty()
        line = SerialLine(Path(os.ttyname(slave)), SHAPE)
        line.open(nothing, nothing)
        os.close(slave)
        os.close(master)
        with pytest.raises(LinkError):
            line.write(b"x")

    asyncio.run(test())


@pytest.mark.parametrize(
    "shape", [LineShape(9601, "E", 1), LineShape(0, "E", 1), LineShape(9600, "M", 1), LineShape(9600, "E", 3)]
)
def test_shapes_that_no_port_has_are_refused(shape: LineShape):
    with pytest.raises(ProfileError):
        SerialLine(Path("/dev/null"), shape)


def test_a_character_takes_its_bits():
    assert LineShape(9600, "E", 1).character_s == pytest.approx(11 / 9600)
    assert LineShape(9600, "N", 1).character_s == pytest.approx(10 / 9600)
    assert LineShape(9600, "O", 2).character_s == pytest.approx(12 / 9600)
