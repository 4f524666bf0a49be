# SPDX-License-Identifier: Apache-2.0
"""A sound bus by the kernel's PCM devices (include/uapi/sound/asound.h): a node each way, whole frames, no waiting.

The other side has the clock: the format is what it is expected to send and take, and the driver has to agree.
"""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from armillary.engines.peripherals.kernel import Kernel
from armillary.engines.peripherals.port import SoundFormat

HW_PARAMS: Final = 0xC2604111  # SNDRV_PCM_IOCTL_HW_PARAMS, struct snd_pcm_hw_params
PREPARE: Final = 0x4140  # SNDRV_PCM_IOCTL_PREPARE
_MASKS, _RESERVED_MASKS, _INTERVALS, _RESERVED_INTERVALS = 3, 5, 12, 9
_MASK_BYTES: Final = 32
_INTERVAL: Final = struct.Struct("=III")  # least, most, bits: open ends, whole numbers, empty
_WHOLE: Final = 1 << 2
_ANY: Final = _INTERVAL.pack(0, 0xFFFFFFFF, 0)
# What the kernel may change (all), has changed, information, bits, rate as a fraction, size of the hardware's buffer.
_TAIL: Final = struct.Struct("=IIIIIIQ64x")
_INTERLEAVED: Final = 3  # SNDRV_PCM_ACCESS_RW_INTERLEAVED
_FORMATS: Final = {16: 2, 24: 6, 32: 10}  # SNDRV_PCM_FORMAT_S16_LE, S24_LE, S32_LE
_CHANNELS, _RATE = 2, 3  # places among the intervals

T = TypeVar("T")


def hardware_parameters(asked: SoundFormat) -> bytearray:
    """Struct snd_pcm_hw_params for a format; sizes of periods and buffer are the driver's choice."""
    masks = b"".join(_mask(bit) for bit in (_INTERLEAVED, _FORMATS[asked.bits], 0))
    intervals = [_ANY] * _INTERVALS
    intervals[_CHANNELS] = _INTERVAL.pack(asked.channels, asked.channels, _WHOLE)
    intervals[_RATE] = _INTERVAL.pack(asked.rate_hz, asked.rate_hz, _WHOLE)
    reserved = bytes(_RESERVED_INTERVALS * _INTERVAL.size)
    tail = _TAIL.pack(0xFFFFFFFF, 0, 0, 0, 0, 0, 0)
    return bytearray(bytes(4) + masks + bytes(_RESERVED_MASKS * _MASK_BYTES) + b"".join(intervals) + reserved + tail)


def node_of(nodes: Sequence[str], *, output: bool) -> str:
    """The node of one way; ENODEV where the board has none."""
    found = next((node for node in nodes if node.endswith("p" if output else "c")), None)
    if found is None:
        raise OSError(errno.ENODEV, f"the board has no {'output' if output else 'input'} of it")
    return found


class KernelSound:
    """One way of a sound bus of the host, held while it is open (``port.SoundInput``, ``port.SoundOutput``)."""

    def __init__(self, kernel: Kernel, node: str, asked: SoundFormat) -> None:
        self.gaps = 0
        self._kernel = kernel
        self._frame_bytes = asked.frame_bytes
        self._one_at_a_time = threading.Lock()  # it is read in a thread, and closed in another
        opened = kernel.open(node, waits=False)
        self._descriptor: int | None = opened
        try:
            kernel.lock(opened)
            kernel.ioctl(opened, HW_PARAMS, hardware_parameters(asked))
            kernel.ioctl(opened, PREPARE, 0)
        except OSError as error:
            self.close()
            if error.errno == errno.EINVAL:
                raise OSError(errno.EINVAL, f"{node} has no such format") from error
            raise

    def read(self, frames: int) -> bytes:
        """See ``port.SoundInput``."""
        return self._do(lambda descriptor: self._kernel.read(descriptor, frames * self._frame_bytes), b"")

    def write(self, data: bytes) -> int:
        """See ``port.SoundOutput``."""
        return self._do(lambda descriptor: self._kernel.write(descriptor, data) // self._frame_bytes, 0)

    def close(self) -> None:
        """See ``port.SoundInput``."""
        with self._one_at_a_time:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                self._kernel.close(descriptor)

    def _do(self, operation: Callable[[int], T], nothing: T) -> T:
        """What an operation gives; nothing where it would wait, or the buffer ran over or empty: it begins anew."""
        with self._one_at_a_time:
            if self._descriptor is None:
                raise OSError(errno.EBADF, "it is closed")
            try:
                return operation(self._descriptor)
            except BlockingIOError:
                return nothing
            except BrokenPipeError:
                self.gaps += 1
                self._kernel.ioctl(self._descriptor, PREPARE, 0)
                return nothing


def _mask(bit: int) -> bytes:
    return (1 << bit).to_bytes(_MASK_BYTES, "little")
