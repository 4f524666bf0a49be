# SPDX-License-Identifier: Apache-2.0
"""Network configuration of the device, in the flash region ``device/network``.

The proxy, interfaces that were switched, hardware addresses. A proxy that an application set is on trial: the device
goes back to the one before when too much fails through it.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from armillary.device.network.proxy import Proxy
from armillary.device.state.kept_region import keep_region, read_or_nothing, read_region
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.flash.port import Flash
from armillary.errors import DataFolderError
from armillary.wire.device.azure_error import INVALID_PARAMETER
from armillary.wire.encoding import cbor

REGION: Final = "device/network"
MAX_NO_PROXY: Final = 32
MAX_TEXT_CHARACTERS: Final = 253  # of a host name
MAX_SECRET_CHARACTERS: Final = 128
# So many check-ins or downloads that fail one after the other end the trial of a proxy that an application set. The
# waits between them are ten minutes together, as a rule: a proxy that restarts takes less.
FAILURES_ALLOWED: Final = 12
# For so long after that applications set none: an update that removes the one that did arrives in this time.
HELD_S: Final = 3600
_MAX_BYTES: Final = 64 * 1024
_VERSION: Final = 1  # 1: 2026-11-29, first
_NAME: Final = re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9][A-Za-z0-9._-]*")
# What stands between the points of a name (RFC 1035 §2.3.4); no resolver takes another one.
_LABELS: Final = re.compile(r"[^.]{1,63}(\.[^.]{1,63})*\.?")
_ANONYMOUS, _BASIC = "anonymous", "basic"
_FIELDS: Final[Mapping[str, type]] = {
    "enabled": bool, "address": str, "port": int, "noProxyAddresses": list, "authenticationType": str,
}  # fmt: skip


class _Kept(NamedTuple):
    """What the region has."""

    proxy: dict[str, Any]
    switched: dict[str, bool]
    hardware: dict[str, bytes]  # interface -> six bytes
    trial: Trial | None = None  # of a proxy that an application set; None for one of the host's owner
    held_from: int = 0  # when one was given up


class Trial(NamedTuple):
    """A proxy that an application set is on trial for as long as it is there.

    Attributes:
        component: The component of that application.
        failed: What failed through it, and through others that applications set before, since something worked.
        has_worked: Whether something has worked through it.
        before: What the device goes back to, in order; the last one is the owner's. Each is a proxy or, empty, none,
            with the component that set it.
    """

    component: str
    failed: int
    has_worked: bool
    before: tuple[tuple[str, dict[str, Any]], ...]


class GivenUp(NamedTuple):
    """A proxy that failed too often, and the one that is used instead; empty where the device connects directly."""

    component: str
    proxy: str
    instead: str


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
        """The proxy that connections take now, with its password; None where they go directly.

        They do, too, where the flash does not give it: a device that cannot be reached cannot be mended either.
        """
        try:
            found = _load(self._flash)
        except DataFolderError:
            return None
        kept = found.proxy
        if not kept.get("enabled"):
            return None
        return Proxy(
            host=kept["address"],
            port=kept["port"],
            bypass=tuple(kept["noProxyAddresses"]),
            username=kept.get("username", ""),
            password=kept.get("password", ""),
            of_application=found.trial is not None,
        )

    def set_proxy(self, asked: Mapping[str, Any]) -> None:
        """Replace the proxy, as a tool does; RequestRefusedError if a field is missing, unknown or of another form."""
        self._keep(_load(self._flash)._replace(proxy=_checked_proxy(asked), trial=None, held_from=0))

    def try_proxy(self, asked: Mapping[str, Any], component: str, now: int) -> None:
        """Replace the proxy, as an application does; without fields there is none. It is on trial from then on.

        Raises:
            OSError: EBUSY for :data:`HELD_S` after one of an application was given up.
            RequestRefusedError: a field is missing, unknown or of another form.
        """
        found = _load(self._flash)
        if found.held_from and now < found.held_from + HELD_S:
            left_s = found.held_from + HELD_S - now
            raise OSError(errno.EBUSY, f"a proxy that an application set was given up: set another in {left_s} s")
        proxy = _checked_proxy(asked) if asked else {}
        old = found.trial
        if old is None:
            trial = Trial(component, 0, has_worked=False, before=(("", found.proxy),))
        else:
            worked = ((old.component, found.proxy),) if old.has_worked else old.before[:-1]
            trial = Trial(component, old.failed, has_worked=False, before=(*worked, old.before[-1]))
        self._keep(found._replace(proxy=proxy, trial=trial, held_from=0))

    def proxy_worked(self) -> None:
        """What the device wanted from the service it got, by the way that is kept."""
        found = _load(self._flash)
        if found.trial is not None and (found.trial.failed or not found.trial.has_worked):
            self._keep(found._replace(trial=found.trial._replace(failed=0, has_worked=True)))

    def proxy_failed(self, now: int) -> GivenUp | None:
        """The device did not get it. What an application set goes when that was so too often, and is returned."""
        found = _load(self._flash)
        trial = found.trial
        if trial is None:
            return None
        if trial.failed + 1 < FAILURES_ALLOWED:
            self._keep(found._replace(trial=trial._replace(failed=trial.failed + 1)))
            return None
        (component, proxy), *rest = trial.before
        before = Trial(component, 0, has_worked=True, before=tuple(rest)) if rest else None
        self._keep(found._replace(proxy=proxy, trial=before, held_from=now))
        return GivenUp(trial.component, _place(found.proxy), _place(proxy))

    def enable_proxy(self, *, enabled: bool) -> None:
        """Use the proxy that is kept, or do not; RequestRefusedError if there is none."""
        kept = _load(self._flash)
        if not kept.proxy:
            raise RequestRefusedError(
                INVALID_PARAMETER,
                "the device has no proxy to switch on or off",
                remedy="Tell it one: armillary device network proxy apply.",
            )
        self._keep(kept._replace(proxy={**kept.proxy, "enabled": enabled}, trial=None, held_from=0))

    def delete_proxy(self) -> None:
        """Have no proxy, by a tool."""
        self._keep(_load(self._flash)._replace(proxy={}, trial=None, held_from=0))

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
        if kept.trial is not None:
            value[5] = json.dumps(kept.trial)
        if kept.held_from:
            value[6] = kept.held_from
        keep_region(self._flash, REGION, value, limit_bytes=_MAX_BYTES, number=INVALID_PARAMETER)


def check_kept(flash: Flash) -> None:
    """DamagedRegionError where the region is damaged, and counts as empty."""
    read_region(flash, REGION, _parse, _NOTHING)


def _checked_proxy(asked: Mapping[str, Any]) -> dict[str, Any]:
    kinds = dict(_FIELDS)
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
    if not _LABELS.fullmatch(asked["address"]):
        raise _refused(f"address: expected 1 to 63 characters between the points, got {asked['address']!r:.60}")
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


def _trial(value: Any) -> Trial:
    component, failed, has_worked, before = value
    return Trial(
        str(component), int(failed), bool(has_worked), tuple((str(each), dict(proxy)) for each, proxy in before)
    )


def _place(proxy: Mapping[str, Any]) -> str:
    return f"{proxy['address']} port {proxy['port']}" if proxy.get("enabled") else ""


def _load(flash: Flash) -> _Kept:
    """What is kept; a damaged region is as good as none."""
    return read_or_nothing(flash, REGION, _parse, _NOTHING)


def _parse(data: bytes) -> _Kept:
    value: Any = cbor.decode(data, what="network configuration", limit=_MAX_BYTES)
    kept = _Kept(
        proxy=dict(json.loads(value[2]) or {}),
        switched={str(name): bool(up) for name, up in value[3].items()},
        hardware={str(name): b"".join([address]) for name, address in value.get(4, {}).items()},
        trial=_trial(json.loads(value[5])) if 5 in value else None,
        held_from=int(value.get(6, 0)),
    )
    for proxy in (kept.proxy, *(before for _, before in (kept.trial.before if kept.trial else ()))):
        for name, kind in _FIELDS.items() if proxy else ():
            if type(proxy[name]) is not kind:
                raise TypeError(f"{name}: expected {kind.__name__}, got {type(proxy[name]).__name__}")
    return kept


_NOTHING: Final = _Kept({}, {}, {})
