# SPDX-License-Identifier: Apache-2.0
"""Has Linux let a radio sleep between beacons, or not (nl80211)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Final, TypeVar

from armillary.errors import HostError, WireError
from armillary.wire.wifi import power_saving as wire

_GENERIC: Final = 16  # NETLINK_GENERIC
_READ_BYTES: Final = 64 * 1024  # the description of nl80211 has some 20 KiB
_ANSWER_S: Final = 5.0
T = TypeVar("T")


def save_power(interface: str, *, wanted: bool) -> None:
    """Let the radio of an interface sleep, or not; HostError if it cannot, or is none."""
    with contextlib.closing(_opened()) as kernel:
        family = _asked(kernel, wire.ask_family(1), lambda data: wire.parse_family(data, 1), interface)
        number = _index(interface)
        asked = wire.set_power_saving(family, number, saves=wanted, sequence=2)
        _asked(kernel, asked, lambda data: wire.parse_done(data, 2), interface)


def saves_power(interface: str) -> bool:
    """Whether the radio of an interface sleeps; HostError as :func:`save_power`."""
    with contextlib.closing(_opened()) as kernel:
        family = _asked(kernel, wire.ask_family(1), lambda data: wire.parse_family(data, 1), interface)
        asked = wire.ask_power_saving(family, _index(interface), sequence=2)
        return _asked(kernel, asked, lambda data: wire.parse_power_saving(data, 2), interface)


def _opened() -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _GENERIC)
    made.settimeout(_ANSWER_S)
    return made


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise HostError(f"there is no interface {interface}", remedy="Look which there are: /sys/class/net.") from error


def _asked(kernel: socket.socket, question: bytes, read: Callable[[bytes], T], interface: str) -> T:
    try:
        kernel.send(question)
        return read(kernel.recv(_READ_BYTES))
    except (OSError, WireError) as error:
        raise HostError(
            f"power saving of {interface}: {error}", remedy="It needs a Wi-Fi radio, and the right to set it (root)."
        ) from error
