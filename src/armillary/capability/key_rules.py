# SPDX-License-Identifier: Apache-2.0
"""What each capability gives, in one sentence, and how an attempt without it fails: one row for each manifest key.

``armillary capability explain`` prints these beside what the grant is compiled to; ``docs/concepts/sandbox.md`` has the
same table for people who read. One of which nothing is carried out, as of a real-time application's peripherals, says
so by an empty ``device`` and no compiled values: its answer is ``recorded``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from armillary.wire.image.app_manifest import PERIPHERAL_KEYS

DENIED = "EACCES"


@dataclass(frozen=True, slots=True)
class KeyRule:
    """One manifest key."""

    gets: str  # what the application gets, as one clause
    without: str  # what an application that did not ask for it meets, and where that is seen
    device: str = ""  # what of the device carries it out in every engine, beside what is compiled for the kernel


_REFUSED_METHOD = f"{DENIED} from the method, reported as CapabilityBlocked"
_REFUSED_OWNER = f"{DENIED}, reported as CapabilityBlocked; one that asks for what another owns is not installed"
_ON_BOARD = "the application interface uses it for its owner alone, on the board that the device was told (--board)"

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
    "AllowedApplicationConnections": KeyRule(
        "a channel for messages to each of these applications that names it as well (application.connect)",
        f"{DENIED}, reported as CapabilityBlocked",
        "the application interface, which carries the messages",
    ),
    "Gpio": KeyRule(
        "these pins: a descriptor of each line (gpio.open-output, gpio.open-input), or its level over the interface",
        _REFUSED_OWNER,
        _ON_BOARD,
    ),
    "Uart": KeyRule(
        "the serial port, if the device was told its node on this host (--board or --peripheral)",
        f"no node, and {DENIED} from opening one",
    ),
    "I2cMaster": KeyRule(
        "transfers to every address of these buses that no driver has (i2c.transfer)",
        _REFUSED_OWNER,
        _ON_BOARD,
    ),
    "SpiMaster": KeyRule(
        "transfers to every chip select of these buses (spi.transfer)",
        _REFUSED_OWNER,
        _ON_BOARD,
    ),
    "Pwm": KeyRule(
        "the output of every channel of these controllers (pwm.apply)",
        _REFUSED_OWNER,
        _ON_BOARD,
    ),
    "Adc": KeyRule(
        "samples of every channel of these controllers (adc.read)",
        _REFUSED_OWNER,
        _ON_BOARD,
    ),
    "I2sSubordinate": KeyRule(
        "frames that come in by these sound buses, and that go out (i2s.open-input, i2s.open-output, i2s.read, "
        "i2s.write, i2s.close)",
        _REFUSED_OWNER,
        _ON_BOARD,
    ),
    "MutableStorage": KeyRule(
        "a folder of this size in all, named by ARMILLARY_DATA, that survives restarts and updates; what of it is used "
        "(storage.usage)",
        "no folder but its temporary one, which is empty at every start",
    ),
    "PowerControls": KeyRule(
        "the device starts again, or rests for a time; while it runs, the host works by its profile, or the answer "
        "says why it is only recorded",
        _REFUSED_METHOD,
        "the application interface: power.restart, power.rest, power.profile",
    ),
    "DeviceAuthentication": KeyRule(
        "certificate.pem, key.pem and ca.pem of the device in a folder named by ARMILLARY_DEVICE_AUTHENTICATION, "
        "when the device is attested and the catalog is its own; the device sends its readings",
        f"no folder, and {DENIED} from reading the device's",
        "the application interface: telemetry.send, telemetry.status",
    ),
    "CertStore": KeyRule(
        "it installs, lists and deletes certificates of the device's store; no private key comes back",
        _REFUSED_METHOD,
        "the application interface: certificates.list, certificates.show, certificates.install, certificates.delete",
    ),
    "WifiConfig": KeyRule(
        "it keeps the Wi-Fi networks that the device knows; no passphrase comes back",
        _REFUSED_METHOD,
        "the application interface: wifi.list, wifi.add, wifi.enable, wifi.forget, wifi.status, wifi.scan, "
        "wifi.diagnostics, wifi.save-power, wifi.reload",
    ),
    "EnterpriseWifiConfig": KeyRule(
        "with WifiConfig, it keeps also the Wi-Fi networks with certificates (eaptls)",
        _REFUSED_METHOD,
        "the application interface: wifi.add, wifi.enable, wifi.forget of such a network",
    ),
    "NetworkConfig": KeyRule(
        "it changes the device's proxy: the device itself connects to that host and port, never of its own machine",
        _REFUSED_METHOD,
        "the application interface: network.set-proxy, network.delete-proxy",
    ),
    "ReadNetworkProxyConfig": KeyRule(
        "it reads the device's proxy, without its password",
        _REFUSED_METHOD,
        "the application interface: network.proxy",
    ),
    "SystemTime": KeyRule(
        "it sets the device's time forward until the service has given it",
        f"{_REFUSED_METHOD}; EPERM from every call that sets the host's clock",
        "the application interface: time.set",
    ),
    "TimeSyncConfig": KeyRule(
        "it learns where the time is from and has the device get it from there",
        _REFUSED_METHOD,
        "the application interface: time.source, time.synchronize",
    ),
    "SystemEventNotifications": KeyRule(
        "it hears of updates, the network, the time, its certificate and restarts",
        _REFUSED_METHOD,
        "the application interface: events.subscribe, events.unsubscribe",
    ),
    "SoftwareUpdateDeferral": KeyRule(
        "it puts off updates, as long as the device group allows",
        f"{_REFUSED_METHOD}; the line on standard output means nothing",
        "the application interface: update.defer; or a line on standard output, armillary: defer-update MINUTES",
    ),
    "DhcpService": KeyRule(
        "the device gives out addresses for it, while it runs, at the private network that it was told "
        "(--private-network)",
        _REFUSED_METHOD,
        "the application interface: dhcp.start, dhcp.stop, dhcp.status; a socket at that interface alone",
    ),
    "SntpService": KeyRule(
        "the device answers for it, while it runs, who asks for the time at the private network that it was told "
        "(--private-network)",
        _REFUSED_METHOD,
        "the application interface: sntp.start, sntp.stop; a socket at that interface alone",
    ),
    "HardwareAddressConfig": KeyRule(
        "the private network (--private-network) has the hardware address that it says, from the next boot on",
        f"{_REFUSED_METHOD}; EPERM from every ioctl that sets an address",
        "the application interface: network.hardware-address, network.set-hardware-address; the device sets it at boot",
    ),
    "ResetMemoryWatermarks": KeyRule(
        "the peaks of its memory start over",
        _REFUSED_METHOD,
        "the application interface: memory.reset-peak",
    ),
    "HeapMemStats": KeyRule(
        "it learns what its processes take of memory, and took at most",
        _REFUSED_METHOD,
        "the application interface: memory.statistics",
    ),
}

# Of real-time applications, whose core is emulated in a sandbox of nothing. What they may not ask for is refused.
_CORE_HAS_NONE = KeyRule(
    "the peripheral is its alone, which its emulated core does not have yet",
    "one that asks for what another owns is not installed",
)
REAL_TIME_RULES: Mapping[str, KeyRule] = {
    **dict.fromkeys(PERIPHERAL_KEYS, _CORE_HAS_NONE),
    "AllowedApplicationConnections": KeyRule(
        "messages to each of these applications that names it as well, by the mailbox of its core",
        "its mailbox has nobody to write to",
        "the emulated core's mailbox",
    ),
}
