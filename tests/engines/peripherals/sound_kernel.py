# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the kernel's side of PCM devices: it reads struct snd_pcm_hw_params as the kernel does, and checks it.

Written down from include/uapi/sound/asound.h, apart from the engine.
"""

from __future__ import annotations

import errno
from typing import Any

from tests.engines.peripherals.board_kernel import BoardKernel

from armillary.capability.board import Board, Wired
from armillary.capability.grant import Peripheral
from armillary.engines.peripherals.selection import BoardPeripherals

BUS = Peripheral(kind="I2sSubordinate", name="I2S0")
SIZE = 608
FORMATS = {2: 2, 6: 4, 10: 4}  # S16_LE, S24_LE, S32_LE: bytes of a sample


def ioctl_number(direction: int, number: int, size: int) -> int:
    """_IOC of the letter A (asm-generic/ioctl.h)."""
    return direction << 30 | size << 16 | ord("A") << 8 | number


HW_PARAMS, PREPARE = ioctl_number(3, 0x11, SIZE), ioctl_number(0, 0x40, 0)


class SoundKernel(BoardKernel):
    """One card: what comes in is said beforehand, what goes out is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes |= {"/dev/snd/pcmC0D0c", "/dev/snd/pcmC0D0p"}
        self.rates = {16000, 48000}
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.room = 64  # bytes
        self.broken = False  # the buffer ran over, or empty
        self.states: dict[int, str] = {}
        self.formats: dict[int, tuple[int, int, int]] = {}  # rate, bytes of a frame, channels

    def open(self, path: str, *, waits: bool = True) -> int:
        given = super().open(path)
        if path.startswith("/dev/snd"):
            assert not waits, "a read of a sound device may wait for ever"
            self.states[given] = "open"
        return given

    def ioctl(self, descriptor: int, request: int, argument: Any) -> None:
        if descriptor not in self.states:
            super().ioctl(descriptor, request, argument)
        elif request == HW_PARAMS:
            self.formats[descriptor] = self._format(bytes(argument))
            self.states[descriptor] = "set up"
        elif request == PREPARE:
            if self.states[descriptor] == "open":
                raise OSError(errno.EBADFD, "no format yet")
            self.states[descriptor], self.broken = "prepared", False
        else:
            raise OSError(errno.ENOTTY, hex(request))

    def read(self, descriptor: int, size: int) -> bytes:
        self._check(descriptor, size, "c")
        if not self.incoming:
            raise BlockingIOError
        found = bytes(self.incoming[:size])
        del self.incoming[:size]
        return found

    def write(self, descriptor: int, data: bytes) -> int:
        self._check(descriptor, len(data), "p")
        taken = data[: self.room]
        if not taken:
            raise BlockingIOError
        self.outgoing += taken
        self.room -= len(taken)
        return len(taken)

    def _check(self, descriptor: int, size: int, way: str) -> None:
        if not self.descriptors[descriptor].endswith(way) or self.states[descriptor] != "prepared":
            raise OSError(errno.EBADFD, self.states[descriptor])
        if size % self.formats[descriptor][1]:
            raise OSError(errno.EINVAL, "no whole frames")
        if self.broken:
            self.states[descriptor] = "broken"
            raise BrokenPipeError

    def _format(self, raw: bytes) -> tuple[int, int, int]:
        if len(raw) != SIZE or any(raw[:4]) or any(raw[-64:]):
            raise OSError(errno.EINVAL, f"{len(raw)} bytes")
        masks = [int.from_bytes(raw[at : at + 32], "little") for at in (4, 36, 68)]
        access, sample, sub = (mask.bit_length() - 1 for mask in masks)
        if [mask.bit_count() for mask in masks] != [1, 1, 1] or (access, sub) != (3, 0) or sample not in FORMATS:
            raise OSError(errno.EINVAL, f"masks {masks}")
        assert not any(raw[100:260]), "masks that are reserved"
        intervals = [
            tuple(int.from_bytes(raw[at + part : at + part + 4], "little") for part in (0, 4, 8))
            for at in range(260, 404, 12)
        ]
        (channels, most, _), (rate, fastest, _) = intervals[2], intervals[3]
        if channels != most or rate != fastest or not 1 <= channels <= 8 or rate not in self.rates:
            raise OSError(errno.EINVAL, f"{intervals}")
        assert all(each == (0, 0xFFFFFFFF, 0) for at, each in enumerate(intervals) if at not in (2, 3))
        assert not any(raw[404:512]), "intervals that are reserved"
        assert raw[512:516] == b"\xff" * 4, "what may be changed"
        return rate, FORMATS[sample] * channels, channels


def board_of(*nodes: str) -> tuple[SoundKernel, BoardPeripherals]:
    """A board with one sound bus at these nodes of a card."""
    kernel = SoundKernel()
    board = Board(name="t", about="t", chip="mt3620", wired={BUS: Wired(nodes=nodes)})
    return kernel, BoardPeripherals(board, kernel)
