# SPDX-License-Identifier: Apache-2.0
"""Grant: what one application gets on one device.

A manifest asks, a platform has limits, other applications own peripherals. :func:`grant` brings the three
together: everything that was asked for and exists and is free, or an error. Never less than asked (an
application must not find out at run time) and never more (nothing is granted by default).

Source: Azure Sphere app manifest (learn.microsoft.com), error ids of Azure/azure-sphere-tools
(``app_manifest_error.yml``, ``peripheral_error.yml``): code = category << 20 | id, category 2 app manifest,
category 5 peripherals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING
from uuid import UUID

from armillary.boot.profile import ChipProfile
from armillary.capability.application_limits import CORE_LIMITS, DEFAULT_LIMITS, ApplicationLimits, limits_of_chip
from armillary.capability.network import AllowedHosts, allowed_hosts
from armillary.errors import ManifestError
from armillary.wire.image.app_manifest import CAPABILITY_KEYS, PERIPHERAL_KEYS, AppManifest, Capabilities

if TYPE_CHECKING:
    from armillary.wire.image.board_configuration import BoardConfiguration

# 5 << 20 | 8: the peripheral belongs to another application.
PERIPHERAL_TAKEN = 5 << 20 | 8
# 2 << 20 | 13: PeripheralParseError, the id for a peripheral this chip does not have.
PERIPHERAL_UNKNOWN = 2 << 20 | 13
# 2 << 20 | 35: two peripherals of one application on one pin.
PERIPHERALS_SHARE_PIN = 2 << 20 | 35
# 2 << 20 | 34: mutable storage larger than the chip allows.
STORAGE_TOO_LARGE = 2 << 20 | 34
# 2 << 20 | 26: the application type is not one this chip can run.
TYPE_UNKNOWN = 2 << 20 | 26

# Azure Sphere gives every high-level application all of one flash budget (HL and RT together on the MT3620).
IMAGE_LIMIT_BYTES = 1024 * 1024
# A real-time capable application has no flash, network or operating system: everything but peripherals and
# partners is refused (learn.microsoft.com, "Comparison of application types").
REAL_TIME_KEYS = (*PERIPHERAL_KEYS, "AllowedApplicationConnections")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peripheral:
    """One thing on the board that one application owns.

    Attributes:
        kind: Manifest key, e.g. ``Gpio``.
        name: Value there, e.g. ``8`` or ``ISU0``.
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLimits:
    """What a chip and board have.

    Attributes:
        name: Of the chip, for errors; ``chip`` that of its profile.
        pins: Peripheral name to the pins it occupies. A GPIO occupies the pin of its number.
        mutable_storage_limit_kb: Largest mutable storage of one application, KiB.
        real_time_cores: How many real-time capable applications it can run.
        application: What one application may use, all its processes together.
        architecture: Of the processor of high-level applications, in the word of chip profiles; empty for unknown.
    """

    name: str
    peripherals: frozenset[Peripheral] = frozenset()
    pins: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    mutable_storage_limit_kb: int = 64
    real_time_cores: int = 0
    image_limit_bytes: int = IMAGE_LIMIT_BYTES
    chip: str = ""
    application: ApplicationLimits = DEFAULT_LIMITS
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one application got.

    Attributes:
        udp_server_ports: UDP ports it may bind for others.
        partners: Component ids it may talk to on the device.
        mutable_storage_kb: Storage that survives restarts, KiB; 0 for none.
        device_authentication: Catalog whose client certificate it may use, or None.
        privileges: Keys of the boolean capabilities and ``PowerControls.X`` it was given.
        limits: What it may use, all its processes together.
    """

    component_id: UUID
    hosts: AllowedHosts
    tcp_server_ports: frozenset[int] = frozenset()
    udp_server_ports: frozenset[int] = frozenset()
    partners: frozenset[UUID] = frozenset()
    peripherals: frozenset[Peripheral] = frozenset()
    mutable_storage_kb: int = 0
    device_authentication: UUID | None = None
    privileges: frozenset[str] = frozenset()
    real_time: bool = False
    limits: ApplicationLimits = DEFAULT_LIMITS


def platform_limits(profile: ChipProfile) -> PlatformLimits:
    """What a chip profile gives to applications."""
    return PlatformLimits(
        name=profile.title,
        chip=profile.name,
        peripherals=frozenset(
            Peripheral(kind=kind, name=name) for kind, names in profile.peripherals.items() for name in names
        ),
        pins=profile.pins,
        mutable_storage_limit_kb=profile.limits.mutable_storage_kb,
        real_time_cores=sum(core.kind == "real-time" for core in profile.cores),
        image_limit_bytes=profile.limits.application_flash_bytes,
        application=limits_of_chip(profile.limits.application_ram_bytes),
        architecture=profile.architecture,
    )


def grant(manifest: AppManifest, platform: PlatformLimits, *, others: Iterable[Grant] = ()) -> Grant:
    """Give an application what its manifest asks for, or refuse.

    Args:
        manifest: A packed manifest (no ``$NAME`` peripherals left).
        platform: What the device has.
        others: Grants of the applications that stay installed; a grant of the same component is what this
            one replaces and owns nothing any more.

    Raises:
        ManifestError: something does not exist here, is over a limit or belongs to another application.
            ``error_id`` is Azure Sphere's.
    """
    asked = manifest.capabilities
    real_time = manifest.application_type == "RealTimeCapable"
    beside = [other for other in others if other.component_id != manifest.component_id]
    if real_time:
        _check_real_time(asked, platform, beside)
    if asked.mutable_storage_kb > platform.mutable_storage_limit_kb:
        raise ManifestError(
            "Capabilities.MutableStorage.SizeKB",
            expected=f"at most {platform.mutable_storage_limit_kb} KiB on {platform.name}",
            got=str(asked.mutable_storage_kb),
            error_id=STORAGE_TOO_LARGE,
        )
    wanted = _wanted_peripherals(asked)
    _check_peripherals(wanted, platform, beside)
    return Grant(
        component_id=manifest.component_id,
        hosts=allowed_hosts(asked.allowed_connections),
        tcp_server_ports=frozenset(asked.allowed_tcp_server_ports),
        udp_server_ports=frozenset(asked.allowed_udp_server_ports),
        partners=frozenset(asked.allowed_application_connections),
        peripherals=frozenset(wanted),
        mutable_storage_kb=asked.mutable_storage_kb,
        device_authentication=asked.device_authentication,
        privileges=_privileges(asked),
        real_time=real_time,
        limits=CORE_LIMITS if real_time else platform.application,
    )


def board_grant(board: BoardConfiguration, platform: PlatformLimits) -> Grant:
    """The peripherals that a board keeps for itself, as a grant that stands beside those of applications.

    Raises:
        ManifestError: the configuration is for another chip, or names a peripheral that this one does not have, or two
            on one pin.
    """
    if board.chip != platform.chip:
        raise ManifestError("Chip", expected=f"{platform.chip}, which this device has", got=board.chip)
    wanted = _wanted_peripherals(board.peripherals)
    _check_peripherals(wanted, platform, [], within="Peripherals")
    return Grant(component_id=board.component_id, hosts=allowed_hosts(()), peripherals=frozenset(wanted))


def _check_real_time(asked: Capabilities, platform: PlatformLimits, beside: list[Grant]) -> None:
    if platform.real_time_cores == 0:
        raise ManifestError(
            "ApplicationType",
            expected=f"Default: {platform.name} has no real-time core",
            got="RealTimeCapable",
            error_id=TYPE_UNKNOWN,
        )
    cores_taken = [str(other.component_id) for other in beside if other.real_time]
    if len(cores_taken) >= platform.real_time_cores:
        raise ManifestError(
            "ApplicationType",
            expected=f"at most {platform.real_time_cores} real-time capable applications on {platform.name}",
            got=f"one more, beside {', '.join(cores_taken)}",
            error_id=TYPE_UNKNOWN,
        )
    nothing = Capabilities()
    for key, (attribute, _, error_id) in CAPABILITY_KEYS.items():
        if key not in REAL_TIME_KEYS and getattr(asked, attribute) != getattr(nothing, attribute):
            raise ManifestError(
                f"Capabilities.{key}",
                expected="only peripherals and AllowedApplicationConnections in a real-time capable application",
                got=key,
                error_id=2 << 20 | error_id,
            )


def _wanted_peripherals(asked: Capabilities) -> list[Peripheral]:
    return [
        Peripheral(kind=key, name=str(value))
        for key in PERIPHERAL_KEYS
        for value in getattr(asked, CAPABILITY_KEYS[key][0])
    ]


def _check_peripherals(
    wanted: list[Peripheral], platform: PlatformLimits, others: list[Grant], *, within: str = "Capabilities"
) -> None:
    owners = {
        place: other for other in others for peripheral in other.peripherals for place in _places(peripheral, platform)
    }
    own: dict[tuple[str, str], Peripheral] = {}
    for peripheral in wanted:
        if peripheral not in platform.peripherals:
            raise ManifestError(
                f"{within}.{peripheral.kind}",
                expected=f"a peripheral of {platform.name}",
                got=peripheral.name,
                error_id=PERIPHERAL_UNKNOWN,
            )
        for place in _places(peripheral, platform):
            if place in owners:
                owner = owners[place].component_id
                raise ManifestError(
                    f"{within}.{peripheral.kind}",
                    expected="a peripheral that no other application, and not the board, owns",
                    got=f"{peripheral.name}, which shares {' '.join(place)} with component {owner}",
                    error_id=PERIPHERAL_TAKEN,
                )
            if place in own:
                raise ManifestError(
                    f"{within}.{peripheral.kind}",
                    expected="peripherals on different pins",
                    got=f"{peripheral.name}, which shares {' '.join(place)} with {own[place].kind} {own[place].name}",
                    error_id=PERIPHERALS_SHARE_PIN,
                )
            own[place] = peripheral


def _places(peripheral: Peripheral, platform: PlatformLimits) -> tuple[tuple[str, str], ...]:
    """What a peripheral occupies: its block (a UART, I2C and SPI controller of one name are one), and its pins."""
    if peripheral.kind == "Gpio":
        return (("pin", peripheral.name),)
    kind = "serial block" if peripheral.kind in ("Uart", "I2cMaster", "SpiMaster") else peripheral.kind
    return ((kind, peripheral.name), *(("pin", str(pin)) for pin in platform.pins.get(peripheral.name, ())))


def _privileges(asked: Capabilities) -> frozenset[str]:
    booleans = {item.name for item in fields(Capabilities) if isinstance(item.default, bool)}
    keys = {
        key for key, (attribute, _, _) in CAPABILITY_KEYS.items() if attribute in booleans and getattr(asked, attribute)
    }
    return frozenset(keys) | {f"PowerControls.{control}" for control in asked.power_controls}
