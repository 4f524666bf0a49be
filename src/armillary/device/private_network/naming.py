# SPDX-License-Identifier: Apache-2.0
"""Which interface is the private network, and what can be served there. Small: every device loads it."""

from __future__ import annotations

import re

from armillary.errors import InvalidArgumentError

DHCP, SNTP = "dhcp-server", "sntp-server"
NO_PRIVATE_NETWORK = "this device has no private network: armillary device boot --private-network INTERFACE"
# What the kernel takes (dev_valid_name): 15 bytes without slash, colon and space. Which interface, is told by the host.
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,15}")


def private_interface(name: str | None) -> str | None:
    """The interface that ``--private-network`` names; None where it is not given.

    Raises InvalidArgumentError for what is no name of an interface, and for the loopback.
    """
    return named_interface("--private-network", name)


def named_interface(option: str, name: str | None) -> str | None:
    """The interface that an option names; None where it is not given. Raises as :func:`private_interface`."""
    if name is None:
        return None
    if not _NAME.fullmatch(name) or name in ("lo", ".", ".."):
        raise InvalidArgumentError(
            f"{option}: expected an interface of this host with a network of its own, got {name!r:.60}",
            remedy="ip link lists the interfaces of this host.",
        )
    return name
