# SPDX-License-Identifier: Apache-2.0
"""Network configuration of the device, in the flash region ``device/network``.

The proxy, interfaces that were switched, hardware addresses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from armillary.device.network.proxy import Proxy
from armillary.device.state.kept_region import keep_region
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.flash.port import Flash
from armillary.errors import WireError
from armillary.wire.device.azure_error import INVALID_PARAMETER
from armillary.wire.encoding import cbor

REGION: Final = "device/network"
MAX_NO_PROXY: Final = 32
MAX_TEXT_CHARACTERS: Final = 253  # of a host name
MAX_SECRET_CHARACTERS: Final = 128
_MAX_BYTES: Final = 64 * 1024
_VERSION: Final = 1  # 1: 2026-11-29, first
_NAME: Final = re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9][A-Za-z0-9._-]*")
_ANONYMOUS, _BASIC = "anonymous", "basic"


class _Kept(NamedTuple):
    """What the region has."""

    proxy: dict[str, Any]
    switched: dict[str, bool]
    hardware: dict[str, bytes]  # interface -> six bytes


class NetworkConfiguration:
    """The configuration of one device; every change is durable, whole or not at all, when the call returns.

    Nothing is kept in memory: whoever else has the same flash sees the same.
    """

    def __init__(self, flash: Flash) -> None:
        self._flash = flash

    @property
    def proxy(self) -> dict[str, Any]:
        """The proxy as it was given, but for its password; empty where there is none."""
        return {name: value for name, value in _load(self._flash).proxy.items() if name != "password"}

    def proxy_in_use(self) -> Proxy | None:
        """The proxy that connections take now, with its password; None where they go directly."""
        kept = _load(self._flash).proxy
        if not kept.get("enabled"):
            return None
        return Proxy(
            host=kept["address"],
            port=kept["port"],
            bypass=tuple(kept["noProxyAddresses"]),
            username=kept.get("username", ""),
            password=kept.get("password", ""),
        )

    def set_proxy(self, asked: Mapping[str, Any]) -> None:
        """Replace the proxy; RequestRefusedError if a field is missing, unknown or of another form."""
        self._keep(_load(self._flash)._replace(proxy=_checked_proxy(asked)))

    def enable_proxy(self, *, enabled: bool) -> None:
        """Use the proxy that is kept, or do not; RequestRefusedError if there is none."""
        kept = _load(self._flash)
        if not kept.proxy:
            raise RequestRefusedError(
                INVALID_PARAMETER,
                "the device has no proxy to switch on or off",
                remedy="Tell it one: armillary device network proxy apply.",
            )
        self._keep(kept._replace(proxy={**kept.proxy, "enabled": enabled}))

    def delete_proxy(self) -> None:
        """Have no proxy."""
        self._keep(_load(self._flash)._replace(proxy={}))

    @property
    def switched(self) -> dict[str, bool]:
        """Interfaces that were switched, and whether on."""
        return _load(self._flash).switched

    def switch(self, interface: str, *, up: bool) -> None:
        """Remember that an interface is on or off."""
        found = _load(self._flash)
        self._keep(found._replace(switched={**found.switched, interface: up}))

    @property
    def hardware_addresses(self) -> dict[str, bytes]:
        """Hardware addresses that interfaces are to have from each start on."""
        return _load(self._flash).hardware

    def set_hardware_address(self, interface: str, address: bytes) -> None:
        """Remember the hardware address of an interface."""
        found = _load(self._flash)
        self._keep(found._replace(hardware={**found.hardware, interface: address}))

    def _keep(self, kept: _Kept) -> None:
        value = {1: _VERSION, 2: json.dumps(kept.proxy), 3: kept.switched}
        if kept.hardware:
            value[4] = kept.hardware
        keep_region(self._flash, REGION, value, limit_bytes=_MAX_BYTES, number=INVALID_PARAMETER)


def _checked_proxy(asked: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"enabled": bool, "address": str, "port": int, "noProxyAddresses": list, "authenticationType": str}
    secrets = ("username", "password") if asked.get("authenticationType") == _BASIC else ()
    kinds |= dict.fromkeys(secrets, str)
    _check_fields(asked, kinds)
    if asked["authenticationType"] not in (_ANONYMOUS, _BASIC):
        raise _refused(f"authenticationType: expected anonymous or basic, got {asked['authenticationType']!r:.40}")
    if not 1 <= asked["port"] <= 65535:
        raise _refused(f"port: expected 1 to 65535, got {asked['port']}")
    if len(asked["noProxyAddresses"]) > MAX_NO_PROXY:
        raise _refused(f"noProxyAddresses: expected at most {MAX_NO_PROXY}, got {len(asked['noProxyAddresses'])}")
    _check_host("address", asked["address"])
    for each in asked["noProxyAddresses"]:
        _check_host("noProxyAddresses", each)
    for name in secrets:
        if not 0 < len(asked[name]) <= MAX_SECRET_CHARACTERS or not asked[name].isprintable():
            raise _refused(f"{name}: expected 1 to {MAX_SECRET_CHARACTERS} printable characters")
    if ":" in asked.get("username", ""):  # RFC 7617 §2
        raise _refused("username: expected none with a colon, which ends a user name")
    return {name: asked[name] for name in kinds}


def _check_fields(asked: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    """Refuse another set of fields than these, and values of another kind."""
    for name, kind in kinds.items():
        if type(asked.get(name)) is not kind:
            raise _refused(f"{name}: expected {kind.__name__}, got {type(asked.get(name)).__name__}")
    for name in asked:
        if name not in kinds:
            raise _refused(f"{name!r:.40}: a proxy has no such field, or not with this authenticationType")


def _check_host(name: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS or not _is_host(value):
        raise _refused(f"{name}: expected a host name or address, got {value!r:.60}")


def _is_host(value: str) -> bool:
    """Whether it is a host name, or an address; a port stands elsewhere."""
    if _NAME.fullmatch(value):
        return True
    try:
        return bool(ip_address(value))
    except ValueError:
        return False


def _refused(message: str) -> RequestRefusedError:
    return RequestRefusedError(INVALID_PARAMETER, message, remedy="Nothing was changed.")


def _load(flash: Flash) -> _Kept:
    """What the region has; a damaged one is as good as none: only failing flash makes one."""
    data = flash.read(REGION)
    if data is None:
        return _Kept({}, {}, {})
    try:
        value: Any = cbor.decode(data, what="network configuration", limit=_MAX_BYTES)
        proxy = json.loads(value[2])
        return _Kept(
            proxy=dict(proxy) if proxy else {},
            switched={str(name): bool(up) for name, up in value[3].items()},
            hardware={str(name): b"".join([address]) for name, address in value.get(4, {}).items()},
        )
    except (WireError, ValueError, KeyError, TypeError, AttributeError):
        return _Kept({}, {}, {})
