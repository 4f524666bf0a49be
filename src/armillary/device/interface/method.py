# SPDX-License-Identifier: Apache-2.0
"""A method of the application interface: its name, the capability that it needs, and what answers it.

A file of rows looks like this; ``methods.py`` adds them to the table::

    class Storage:
        @property
        def methods(self) -> tuple[Method, ...]:
            return (Method("storage.usage", "MutableStorage", self._usage),)

        async def _usage(self, call: Call) -> Mapping[str, Any]:
            call.parameters.finish()  # it has none; unknown ones are refused
            return {"used_bytes": ...}

What answers a call may raise OSError, whose number and text the application gets, and ArmillaryError (EINVAL, with code
and remedy). It runs in the device's loop: it must not block, and work that takes long belongs into a thread. One
application has at most ``connection.IN_FLIGHT_LIMIT`` calls under way on each connection, so it may wait.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.capability.grant import Grant
from armillary.device.interface.session import Session
from armillary.wire.encoding.json_fields import JsonFields
from armillary.wire.image.app_manifest import CAPABILITY_KEYS

_MANIFEST_CATEGORY = 2 << 20  # of Azure Sphere's error ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a method answers; ``descriptors`` go to the application with it and are closed here afterwards."""

    result: Mapping[str, Any]
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        """Close the descriptors of this process."""
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, after its capability was checked.

    ``parameters`` are read one by one, then ``finish()``. ``notify`` sends an event to the connection that asked, and
    ``on_disconnect`` calls something when that connection ends.
    """

    session: Session
    method: str
    parameters: JsonFields
    notify: Callable[[str, Mapping[str, Any]], None]
    on_disconnect: Callable[[Callable[[], object]], object]

    def not_granted(self, capability: str, what: str, named: Sequence[str] = ()) -> OSError:
        """Report the undeclared use of one thing of a capability (``Gpio``, ``Gpio 9``); the caller raises it.

        ``named`` are those that the manifest names there.
        """
        return self.session.not_granted(f"{self.method} of {what}", capability, named)


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table.

    Attributes:
        name: What an application asks for, such as ``storage.usage``.
        capability: Key of the manifest that it needs, ``SystemTime`` or ``PowerControls.ForceReboot``; of a key with
            values, such as ``Gpio``, it needs any: which, the method decides with :meth:`Call.not_granted`. None:
            everybody has it.
        answer: Answers a call.
    """

    name: str
    capability: str | None
    answer: Callable[[Call], Awaitable[Mapping[str, Any] | Answer | None]]


def is_granted(grant: Grant, capability: str | None) -> bool:
    """Whether a grant has this capability, or any value of it."""
    if capability is None or capability in grant.privileges:
        return True
    values: Mapping[str, object] = {
        "AllowedConnections": grant.hosts.names or grant.hosts.addresses,
        "AllowedTcpServerPorts": grant.tcp_server_ports,
        "AllowedUdpServerPorts": grant.udp_server_ports,
        "AllowedApplicationConnections": grant.partners,
        "MutableStorage": grant.mutable_storage_kb,
        "DeviceAuthentication": grant.device_authentication,
        "PowerControls": any(each.startswith("PowerControls.") for each in grant.privileges),
    }
    return bool(values.get(capability)) or any(each.kind == capability for each in grant.peripherals)


def error_id(capability: str) -> int:
    """Azure Sphere's error id of a capability."""
    return _MANIFEST_CATEGORY | CAPABILITY_KEYS[capability.partition(".")[0]][2]
