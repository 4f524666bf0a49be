# SPDX-License-Identifier: Apache-2.0
"""What the device was told about its modem, in the flash region ``device/cellular``. Nothing gives a secret back.

A PIN is marked as used before it is given to the SIM, and the mark is taken away when the SIM is ready. So a SIM that
refused it, and one that was asked while the power went, is not asked again with the same one: three wrong
ones block it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from armillary.device.state.kept_region import keep_region, read_or_nothing, read_region
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.flash.port import Flash
from armillary.engines.modem.port import AccessPoint
from armillary.errors import InvalidArgumentError
from armillary.wire.device.azure_error import INVALID_PARAMETER
from armillary.wire.encoding import cbor
from armillary.wire.modem.commands import (
    Authentication,
    check_access_point,
    check_operator,
    check_pin,
    check_text,
)

REGION: Final = "device/cellular"
_MAX_BYTES: Final = 4096
_VERSION: Final = 1  # 1: 2026-11-29, first


@dataclass(frozen=True, slots=True, kw_only=True)
class CellularSettings:
    """All of it; ``pin`` and ``password`` are secrets."""

    is_enabled: bool = True
    access_point: str = ""  # empty: the network's choice
    authentication: str = Authentication.NONE.value
    username: str = ""
    password: str = field(default="", repr=False)
    operator: str = ""  # digits of the only network to be in; empty: any
    allows_roaming: bool = True
    pin: str = field(default="", repr=False)
    pin_is_used: bool = False  # given to the SIM, which has not taken it

    @property
    def goes_to(self) -> AccessPoint:
        """Where its session goes to."""
        return AccessPoint(
            name=self.access_point,
            authentication=Authentication(self.authentication),
            username=self.username,
            password=self.password,
        )

    def shown(self) -> dict[str, Any]:
        """For people and tools: without secrets, but whether there are some."""
        return {
            "enabled": self.is_enabled,
            "accessPoint": self.access_point,
            "authenticationType": self.authentication,
            "username": self.username,
            "hasPassword": bool(self.password),
            "operator": self.operator,
            "roaming": self.allows_roaming,
            "hasPin": bool(self.pin),
            "pinRefused": self.pin_is_used,
        }


# Field of a request -> attribute, and its kind.
_FIELDS: Final[Mapping[str, tuple[str, type]]] = {
    "enabled": ("is_enabled", bool),
    "accessPoint": ("access_point", str),
    "authenticationType": ("authentication", str),
    "username": ("username", str),
    "password": ("password", str),
    "operator": ("operator", str),
    "roaming": ("allows_roaming", bool),
    "pin": ("pin", str),
}


class CellularConfiguration:
    """The settings of one device; every change is durable, whole or not at all, when the call returns.

    Nothing is kept in memory: whoever else has the same flash sees the same.
    """

    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._changing = threading.Lock()  # the uplink has a thread of its own

    @property
    def settings(self) -> CellularSettings:
        """As they are now."""
        return _load(self._flash)

    @property
    def is_set(self) -> bool:
        """Whether somebody has set anything."""
        return self._flash.read(REGION) is not None

    def change(self, asked: Mapping[str, Any]) -> CellularSettings:
        """Change what is named and leave the rest; an empty PIN is none.

        Raises:
            RequestRefusedError: a field is unknown or of another form; nothing was changed.
        """
        with self._changing:
            made = changed(self.settings, asked)
            self._keep(made)
        return made

    def use_pin(self) -> str:
        """The PIN, marked as used; empty where there is none that may be tried."""
        with self._changing:
            found = self.settings
            if not found.pin or found.pin_is_used:
                return ""
            self._keep(replace(found, pin_is_used=True))
        return found.pin

    def pin_was_taken(self, pin: str) -> None:
        """The SIM took this PIN: it may be given again at the next start."""
        with self._changing:
            found = self.settings
            if found.pin == pin:
                self._keep(replace(found, pin_is_used=False))

    def _keep(self, settings: CellularSettings) -> None:
        value = {1: _VERSION, 2: asdict(settings)}
        keep_region(self._flash, REGION, value, limit_bytes=_MAX_BYTES, number=INVALID_PARAMETER)


def check_kept(flash: Flash) -> None:
    """DamagedRegionError where the region is damaged, and counts as empty."""
    read_region(flash, REGION, _parse, CellularSettings())


def changed(settings: CellularSettings, asked: Mapping[str, Any]) -> CellularSettings:
    """The settings with what a request names; RequestRefusedError."""
    for name, value in asked.items():
        if name not in _FIELDS:
            raise _refused(f"{name!r:.40}: a modem has no such setting; there are {', '.join(_FIELDS)}")
        if type(value) is not _FIELDS[name][1]:
            raise _refused(f"{name}: expected {_FIELDS[name][1].__name__}, got {type(value).__name__}")
    given: dict[str, Any] = {_FIELDS[name][0]: value for name, value in asked.items()}
    if "pin" in given:
        given["pin_is_used"] = False
    try:
        return _checked(replace(settings, **given))
    except InvalidArgumentError as error:
        raise _refused(error.message) from error


def _checked(settings: CellularSettings) -> CellularSettings:
    if settings.pin:
        check_pin(settings.pin)
    check_access_point(settings.access_point)
    check_operator(settings.operator)
    check_text("username", settings.username)
    check_text("password", settings.password)
    if settings.authentication not in list(Authentication):
        raise InvalidArgumentError(
            f"authenticationType: expected {', '.join(Authentication)}, got {settings.authentication!a:.40}"
        )
    return settings


def _refused(message: str) -> RequestRefusedError:
    return RequestRefusedError(INVALID_PARAMETER, message, remedy="Nothing was changed.")


def _load(flash: Flash) -> CellularSettings:
    """What is kept; a damaged region is as good as none."""
    return read_or_nothing(flash, REGION, _parse, CellularSettings())


def _parse(data: bytes) -> CellularSettings:
    value: Any = cbor.decode(data, what="cellular configuration", limit=_MAX_BYTES)
    return _checked(CellularSettings(**value[2]))
