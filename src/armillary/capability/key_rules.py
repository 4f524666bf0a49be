# SPDX-License-Identifier: Apache-2.0
"""What each capability gives, in one sentence, and how an attempt without it fails: one row for each manifest key.

``armillary capability explain`` prints these beside what the grant is compiled to; ``docs/concepts/sandbox.md`` has the
same table for people who read. A capability of which nothing is carried out yet says so by an empty ``device`` and no
compiled values: its answer is ``recorded``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DENIED = "EACCES"


@dataclass(frozen=True, slots=True)
class KeyRule:
    """One manifest key."""

    gets: str  # what the application gets, as one clause
    without: str  # what an application that did not ask for it meets, and where that is seen
    device: str = ""  # what of the device carries it out in every engine, beside what is compiled for the kernel


_RECORDED = "nothing yet: it stands in the grant, and no part of the device opens by it"
_NOTHING_TO_REFUSE = "no way to it for any application"
_OWNED = "the peripheral is its alone; no line or node of it reaches an application yet"
_REFUSED_OWNER = "no way to it; an application that asks for one that is taken is not installed"

KEY_RULES: Mapping[str, KeyRule] = {
    "AllowedConnections": KeyRule(
        "connections to these hosts, any port, TCP and UDP",
        f"{DENIED}, or no such name, for every other host; reported as ConnectionBlocked",
    ),
    "AllowedTcpServerPorts": KeyRule(
        "it listens at these TCP ports, and is reached there at the device's address (--listen)",
        f"{DENIED} from listen at every other port; reported as ListenerBlocked",
    ),
    "AllowedUdpServerPorts": KeyRule(
        "it waits for datagrams at these UDP ports of the device's address (--listen), and answers who wrote",
        f"{DENIED} from bind at every other port; reported as ListenerBlocked",
    ),
    "AllowedApplicationConnections": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "Gpio": KeyRule(_OWNED, _REFUSED_OWNER),
    "Uart": KeyRule(
        "the serial port, if the device was told its node on this host (--peripheral)",
        f"no node, and {DENIED} from opening one",
    ),
    "I2cMaster": KeyRule(_OWNED, _REFUSED_OWNER),
    "SpiMaster": KeyRule(_OWNED, _REFUSED_OWNER),
    "Pwm": KeyRule(_OWNED, _REFUSED_OWNER),
    "Adc": KeyRule(_OWNED, _REFUSED_OWNER),
    "I2sSubordinate": KeyRule(_OWNED, _REFUSED_OWNER),
    "MutableStorage": KeyRule(
        "a folder that survives restarts and updates, named by ARMILLARY_DATA",
        "no folder but its temporary one, which is empty at every start",
    ),
    "PowerControls": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "DeviceAuthentication": KeyRule(
        "certificate.pem, key.pem and ca.pem of the device in a folder named by ARMILLARY_DEVICE_AUTHENTICATION, "
        "when the device is attested and the catalog is its own",
        f"no folder, and {DENIED} from reading the device's",
    ),
    "CertStore": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "WifiConfig": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "EnterpriseWifiConfig": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "NetworkConfig": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "ReadNetworkProxyConfig": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "SystemTime": KeyRule(_RECORDED, "EPERM from every call that sets a clock"),
    "TimeSyncConfig": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "SystemEventNotifications": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "SoftwareUpdateDeferral": KeyRule(
        "it puts off updates by a line on standard output: armillary: defer-update MINUTES",
        "the line means nothing",
        "the supervisor reads its output and the updater waits, as long as the device group allows",
    ),
    "DhcpService": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "SntpService": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "HardwareAddressConfig": KeyRule(_RECORDED, "EPERM from every ioctl that sets an address"),
    "ResetMemoryWatermarks": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
    "HeapMemStats": KeyRule(_RECORDED, _NOTHING_TO_REFUSE),
}
