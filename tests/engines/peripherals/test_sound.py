# SPDX-License-Identifier: Apache-2.0
"""Sound buses: the simulated one by its clock, the kernel's by its structures against a stand-in."""

from __future__ import annotations

import errno
import math
import struct

import pytest
from tests.engines.peripherals.sound_kernel import BUS, HW_PARAMS, board_of
from tests.fixtures.clocks import Clock

from armillary.engines.peripherals import simulated_sound
from armillary.engines.peripherals.port import SoundFormat
from armillary.engines.peripherals.simulated import SimulatedBoard
from armillary.engines.peripherals.simulated_sound import KEPT_BYTES

MONO = SoundFormat(rate_hz=16000, bits=16, channels=1)
STEREO = SoundFormat(rate_hz=48000, bits=24, channels=2)
IN, OUT = "/dev/snd/pcmC0D0c", "/dev/snd/pcmC0D0p"


def test_the_tone_comes_in_at_the_rate_of_the_format() -> None:
    now = Clock()
    board = SimulatedBoard(monotonic=lambda: now.now)
    board.sounds["I2S0"].play(1000)
    stream = board.sound_input(BUS, MONO)
    assert stream.read(100) == b""
    now.now += 1 / 128  # parts of a second that a computer writes exactly
    first = stream.read(1000)
    assert len(first) == 125 * 2, "an 128th of 16,000"
    now.now += 1 / 128
    frames = [value for (value,) in struct.iter_unpack("<h", first + stream.read(5) + stream.read(1000))]
    expected = [round(0.5 * 32767 * math.sin(2 * math.pi * 1000 * number / 16000)) for number in range(250)]
    assert frames == expected
    assert stream.gaps == 0
    now.now += 10
    assert len(stream.read(1_000_000)) == 8000 * 2, "half a second fits"
    assert stream.gaps == 1
    board.sounds["I2S0"].play(0)
    now.now += 1 / 128
    assert stream.read(1000) == bytes(125 * 2)


def test_each_channel_has_the_tone_in_every_format() -> None:
    now = Clock()
    board = SimulatedBoard(monotonic=lambda: now.now)
    for bits in (16, 24, 32):
        asked = SoundFormat(rate_hz=44100, bits=bits, channels=3)
        stream = board.sound_input(BUS, asked)
        now.now += 1 / 4
        data = stream.read(20_000)
        assert len(data) == 11025 * asked.frame_bytes == 11025 * 3 * (2 if bits == 16 else 4)
        values = struct.unpack(f"<{11025 * 3}{'h' if bits == 16 else 'i'}", data)
        assert values[0::3] == values[1::3] == values[2::3]
        assert 0.49 * 2 ** (bits - 1) < max(values) < 0.51 * 2 ** (bits - 1)


def test_what_goes_out_is_taken_as_the_bus_takes_it() -> None:
    now = Clock()
    board = SimulatedBoard(monotonic=lambda: now.now)
    stream = board.sound_output(BUS, MONO)
    data = bytes(range(256)) * 100
    assert stream.write(data) == 8000, "half a second has room"
    assert stream.write(data) == 0
    now.now += 0.25
    assert stream.write(data) == 4000
    assert (stream.gaps, board.show()["I2sSubordinate"]["I2S0"]["frames_out"]) == (0, 12000)
    assert bytes(board.sounds["I2S0"].kept) == data[:16000] + data[:8000]
    now.now += 10
    assert stream.write(data) == 8000
    assert stream.gaps == 1
    for _ in range(10):
        now.now += 10
        stream.write(data)
    assert len(board.sounds["I2S0"].kept) == KEPT_BYTES
    assert board.sound_output(BUS, MONO).gaps == 0
    assert board.show()["I2sSubordinate"]["I2S0"]["frames_out"] == 0


def test_a_tone_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It repeats after few frames at every rate: what is kept of it stays small."""
    sizes = [len(simulated_sound._wave(SoundFormat(rate_hz=rate, bits=32, channels=4), tone))
             for rate in (8000, 11025, 16000, 22050, 32000, 44100, 48000) for tone in range(0, 4000, 100)]  # fmt: skip
    assert max(sizes) <= 480 * 16


def test_frames_of_the_kernel() -> None:
    kernel, board = board_of(IN, OUT)
    stream = board.sound_input(BUS, STEREO)
    assert list(kernel.formats.values()) == [(48000, 8, 2)]
    assert stream.read(4) == b"", "none are there"
    kernel.incoming += bytes(range(40))
    assert stream.read(4) == bytes(range(32))
    assert stream.read(4) == bytes(range(32, 40))
    out = board.sound_output(BUS, MONO)
    assert list(kernel.formats.values())[-1] == (16000, 2, 1)
    assert out.write(bytes(range(100))) == 32, "as many as have room"
    assert out.write(b"xx") == 0
    assert bytes(kernel.outgoing) == bytes(range(64))
    stream.close()
    out.close()
    out.close()
    assert kernel.descriptors == {}
    with pytest.raises(OSError, match="closed") as refused:
        stream.read(1)
    assert refused.value.errno == errno.EBADF


def test_a_buffer_that_ran_over_is_a_gap_and_goes_on() -> None:
    kernel, board = board_of(IN, OUT)
    stream, out = board.sound_input(BUS, MONO), board.sound_output(BUS, MONO)
    kernel.incoming += b"abcd"
    kernel.broken = True
    assert (stream.read(2), stream.gaps) == (b"", 1)
    assert (stream.read(2), stream.gaps) == (b"abcd", 1)
    kernel.broken = True
    assert (out.write(b"xy"), out.gaps) == (0, 1)
    assert (out.write(b"xy"), out.gaps) == (1, 1)


def test_what_the_kernel_and_the_board_have_not() -> None:
    kernel, board = board_of(IN)
    with pytest.raises(OSError, match="no output") as refused:
        board.sound_output(BUS, MONO)
    assert refused.value.errno == errno.ENODEV
    with pytest.raises(OSError, match="no such format") as refused:
        board.sound_input(BUS, SoundFormat(rate_hz=44100, bits=16, channels=1))
    assert refused.value.errno == errno.EINVAL
    kernel.locked.add(IN)
    with pytest.raises(OSError, match="another device") as refused:
        board.sound_input(BUS, MONO)
    assert refused.value.errno == errno.EBUSY
    assert kernel.descriptors == {}, "nothing stays open"
    kernel.nodes.clear()
    with pytest.raises(OSError, match="not on this host") as refused:
        board.sound_input(BUS, MONO)
    assert refused.value.errno == errno.ENODEV
    assert HW_PARAMS == 0xC2604111
