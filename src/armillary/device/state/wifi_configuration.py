# SPDX-License-Identifier: Apache-2.0
"""The Wi-Fi networks that the device knows, in the flash region ``device/wifi``. Nothing gives a passphrase back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from armillary.device.state.kept_region import keep_region, read_or_nothing, read_region
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.flash.port import Flash
from armillary.wire.device import azure_error
from armillary.wire.encoding import cbor
from armillary.wire.wifi.network import EAP_TLS, OPEN, PSK

REGION: Final = "device/wifi"
MAX_NETWORKS: Final = 37  # Azure Sphere's
MAX_SSID_BYTES: Final = 32
MIN_PSK, MAX_PSK = 8, 63  # characters of a passphrase; 64 hexadecimal digits are the key itself (IEEE 802.11i)
MAX_NAME_CHARACTERS: Final = 16
MAX_IDENTITY_CHARACTERS: Final = 254  # RFC 7542: 253 and one
ENABLED, DISABLED = "enabled", "disabled"
_STATES: Final = (ENABLED, DISABLED)
_MAX_BYTES: Final = 64 * 1024
_VERSION: Final = 1  # 1: 2026-11-29, first
_HEX: Final = frozenset("0123456789abcdefABCDEF")
# Field of a request -> attribute. All but the first two may be left out.
_FIELDS: Final = {
    "ssid": "ssid",
    "securityState": "security",
    "configState": "state",
    "configName": "name",
    "targetScan": "targeted_scan",
    "psk": "psk",
    "clientIdentity": "identity",
    "clientCertStoreIdentifier": "client_certificate",
    "rootCaCertStoreIdentifier": "root_certificate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiNetwork:
    """One network; which attributes it has depends on its security: ``open``, ``psk`` or ``eaptls``."""

    id: int
    ssid: str
    security: str
    state: str = DISABLED
    name: str = ""
    targeted_scan: bool = False
    psk: str = field(default="", repr=False)
    identity: str = ""
    client_certificate: str = ""
    root_certificate: str = ""

    @property
    def checks_server(self) -> bool:
        """Whether the device asks who it is that lets it in; without a root certificate eaptls believes anybody."""
        return self.security != EAP_TLS or bool(self.root_certificate)


class WifiConfiguration:
    """The networks of one device; every change is durable, whole or not at all, when the call returns.

    Nothing is kept in memory: whoever else has the same flash sees the same.
    """

    def __init__(self, flash: Flash) -> None:
        self._flash = flash

    @property
    def networks(self) -> tuple[WifiNetwork, ...]:
        """All of them, in the order that they were added."""
        return _load(self._flash).networks

    @property
    def saves_power(self) -> bool:
        """Whether the radio may sleep between beacons."""
        return _load(self._flash).saves_power

    def get(self, number: int) -> WifiNetwork:
        """The network of an id; RequestRefusedError if there is none."""
        found = next((each for each in self.networks if each.id == number), None)
        if found is None:
            raise RequestRefusedError(
                azure_error.NETWORK_UNKNOWN,
                f"the device knows no Wi-Fi network {number}",
                remedy="List them: armillary device wifi list.",
            )
        return found

    def add(self, asked: Mapping[str, Any]) -> WifiNetwork:
        """Keep a network as a request describes it; RequestRefusedError with Azure Sphere's number of what is wrong."""
        kept = _load(self._flash)
        made = _read(asked, kept.next_id)
        if len(kept.networks) >= MAX_NETWORKS:
            raise _refused(azure_error.TOO_MANY_NETWORKS, f"the device keeps at most {MAX_NETWORKS} networks")
        for known in kept.networks:
            if made.name and known.name == made.name:
                raise _refused(azure_error.CONFIGURATION_NAME_EXISTS, f"configName: {made.name!r} is taken")
            if replace(made, id=known.id, state=known.state) == known:
                raise _refused(azure_error.NETWORK_EXISTS, f"the network is known already, as {known.id}")
        self._keep(replace(kept, next_id=kept.next_id + 1, networks=(*kept.networks, made)))
        return made

    def change(self, number: int, *, state: str | None, psk: str | None) -> WifiNetwork:
        """Enable or disable a network, or give it another passphrase; RequestRefusedError as :meth:`add`."""
        known = self.get(number)
        if psk is not None and known.security != PSK:
            raise _refused(azure_error.NETWORK_PROPERTIES, f"a network of security {known.security} has no passphrase")
        if state is not None and state not in _STATES:
            raise _refused(azure_error.INVALID_PARAMETER, f"configState: expected {' or '.join(_STATES)}")
        if psk is not None:
            _check_psk(psk)
        made = replace(known, state=known.state if state is None else state, psk=known.psk if psk is None else psk)
        kept = _load(self._flash)
        networks = tuple(made if each.id == number else each for each in kept.networks)
        self._keep(replace(kept, networks=networks))
        return made

    def remove(self, number: int) -> None:
        """Forget a network; RequestRefusedError if there is none of this id."""
        self.get(number)
        kept = _load(self._flash)
        self._keep(replace(kept, networks=tuple(each for each in kept.networks if each.id != number)))

    def save_power(self, *, wanted: bool) -> None:
        """Let the radio sleep, or not."""
        self._keep(replace(_load(self._flash), saves_power=wanted))

    def _keep(self, kept: _Kept) -> None:
        value = {1: _VERSION, 2: kept.next_id, 3: [asdict(each) for each in kept.networks], 4: kept.saves_power}
        keep_region(self._flash, REGION, value, limit_bytes=_MAX_BYTES, number=azure_error.TOO_MANY_NETWORKS)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The region's content."""

    next_id: int = 0
    networks: tuple[WifiNetwork, ...] = ()
    saves_power: bool = False


def check_kept(flash: Flash) -> None:
    """DamagedRegionError where the region is damaged, and counts as empty."""
    read_region(flash, REGION, _parse, _Kept())


def _read(asked: Mapping[str, Any], number: int) -> WifiNetwork:
    """The network that a request describes, checked."""
    for name, value in asked.items():
        kind = bool if name == "targetScan" else str
        if name not in _FIELDS or type(value) is not kind:
            raise _refused(azure_error.INVALID_PARAMETER, f"{name!r:.40}: a network has no such field of this kind")
    given = {_FIELDS[name]: value for name, value in asked.items()}
    if "ssid" not in given or given.get("security") not in (OPEN, PSK, EAP_TLS):
        raise _refused(azure_error.WIFI_INVALID, "expected ssid, and securityState open, psk or eaptls")
    made = WifiNetwork(id=number, **given)
    _check(made)
    return made


def _check(network: WifiNetwork) -> None:
    if len(network.ssid.encode()) > MAX_SSID_BYTES:
        raise _refused(azure_error.SSID_TOO_LONG, f"ssid: expected at most {MAX_SSID_BYTES} bytes")
    if not network.ssid.strip() or not network.ssid.isprintable():
        raise _refused(azure_error.WIFI_INVALID, "ssid: expected printable characters")
    if network.state not in _STATES:
        raise _refused(azure_error.INVALID_PARAMETER, f"configState: expected {' or '.join(_STATES)}")
    if len(network.name) > MAX_NAME_CHARACTERS:
        raise _refused(
            azure_error.CONFIGURATION_NAME_TOO_LONG, f"configName: expected 1 to {MAX_NAME_CHARACTERS} characters"
        )
    is_printable = network.name.isprintable() and network.identity.isprintable()
    if not is_printable or len(network.identity) > MAX_IDENTITY_CHARACTERS:
        raise _refused(azure_error.WIFI_INVALID, "configName or clientIdentity is too long or not printable")
    if network.security == PSK:
        _check_psk(network.psk)
    elif network.psk:
        raise _refused(azure_error.NETWORK_PROPERTIES, f"a network of security {network.security} has no passphrase")
    has_enterprise = bool(network.identity or network.client_certificate or network.root_certificate)
    if network.security != EAP_TLS and has_enterprise:
        raise _refused(azure_error.NETWORK_PROPERTIES, f"a network of security {network.security} has no certificates")
    if network.security == EAP_TLS and not network.client_certificate:
        raise _refused(azure_error.WIFI_INVALID, "clientCertStoreIdentifier: eaptls needs a client certificate")


def _check_psk(psk: str) -> None:
    if len(psk) == MAX_PSK + 1 and _HEX.issuperset(psk):
        return
    if len(psk) < MIN_PSK:
        raise _refused(azure_error.KEY_TOO_SHORT, f"psk: expected at least {MIN_PSK} characters")
    if len(psk) > MAX_PSK:
        raise _refused(
            azure_error.KEY_TOO_LONG, f"psk: expected at most {MAX_PSK} characters, or 64 hexadecimal digits"
        )
    if not psk.isascii() or not psk.isprintable():
        raise _refused(azure_error.WIFI_INVALID, "psk: expected printable ASCII characters")


def _refused(number: int, message: str) -> RequestRefusedError:
    return RequestRefusedError(number, message, remedy="Nothing was changed.")


def _load(flash: Flash) -> _Kept:
    """What is kept; a damaged region is as good as none."""
    return read_or_nothing(flash, REGION, _parse, _Kept())


def _parse(data: bytes) -> _Kept:
    value: Any = cbor.decode(data, what="Wi-Fi configuration", limit=_MAX_BYTES)
    kept = _Kept(int(value[2]), tuple(WifiNetwork(**each) for each in value[3]), bool(value[4]))
    for network in kept.networks:
        for each in fields(network):
            if type(found := getattr(network, each.name)).__name__ != each.type:
                raise TypeError(f"{each.name}: expected {each.type}, got {type(found).__name__}")
    return kept
