# SPDX-License-Identifier: Apache-2.0
"""Ports at this machine that the device itself listens at: no application is connected to them, whatever it declares.

The supervisor connects for applications, as the user who runs the device. To a server that knows its callers by their
user, an application that declares an address of this machine would look like that user.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from armillary.capability.network import Address

_held: set[int] = set()


@contextlib.contextmanager
def own_port(port: int) -> Iterator[None]:
    """Keep applications from a port of this machine while the block runs."""
    _held.add(port)
    try:
        yield
    finally:
        _held.discard(port)


def check_not_own(address: Address, port: int) -> None:
    """Raise OSError (EACCES) where the device itself listens."""
    if port in _held and (address.is_loopback or address.is_unspecified):
        raise OSError(errno.EACCES, f"{address} port {port} belongs to the device itself")
