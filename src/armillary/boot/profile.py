# SPDX-License-Identifier: Apache-2.0
"""Chip profiles: what a chip boots, what it has and how much of it applications may use.

A profile is data, ``content/chips/<name>.toml``, decoded by the content loader. Keys, all required unless said::

    name, title, maker, sku, architecture   strings; name is the file's
    flash                                   name of the geometry of its usual flash, see content/flash; optional
    other_flash                             names of other kinds that boards with it have; all others where not said
    [proof]   emulated, real, unproven      what Armillary emulates of it, what is real, and what nobody has seen work
    [limits]  flash_bytes, ram_bytes, application_flash_bytes, application_ram_bytes, mutable_storage_kb
    [[boot]]  name, image_type, component_id, size_limit_bytes, about        in boot order
    [[core]]  name, kind ("high-level" | "real-time"), ram_bytes
    [peripherals]  manifest key = names (Gpio = [[first, last], ...]); optional
    [pins]         peripheral name = pin numbers it occupies; optional

``[pins]`` is what "two peripherals on one pin" (Azure Sphere's error 2097187) is decided with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from armillary.wire.image import manifest_field as field
from armillary.wire.image.app_manifest import PERIPHERAL_KEYS
from armillary.wire.image.section import IMAGE_TYPES, PACKAGE_LIMIT_BYTES

CORE_KINDS = ("high-level", "real-time")
# The event log holds 64 events; no chip has a chain near that.
BOOT_COMPONENT_LIMIT = 32
CORE_LIMIT = 16
# Peripherals named in a profile; a chip's reference manual lists some hundred.
NAME_LIMIT = 512
FLASH_LIMIT = 16
KEYS = (
    "name",
    "title",
    "maker",
    "sku",
    "architecture",
    "flash",
    "other_flash",
    "proof",
    "limits",
    "boot",
    "core",
    "peripherals",
    "pins",
)

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PERIPHERAL = re.compile(r"[A-Z][A-Z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootComponent:
    """One stage of the chain.

    Attributes:
        name: Lower-case words with hyphens; used as file name and in the event log.
        image_type: Key of ``image_section.IMAGE_TYPES``.
        size_limit_bytes: Largest package, bytes.
    """

    name: str
    image_type: int
    component_id: UUID
    size_limit_bytes: int
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipLimits:
    """How much there is.

    Attributes:
        flash_bytes: Of the chip or its usual module.
        ram_bytes: Of the chip or its usual module.
        application_flash_bytes: For all application packages together.
        application_ram_bytes: For one high-level application.
        mutable_storage_kb: For one application, KiB.
    """

    flash_bytes: int
    ram_bytes: int
    application_flash_bytes: int
    application_ram_bytes: int
    mutable_storage_kb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One processor that runs applications. ``kind`` is a member of :data:`CORE_KINDS`."""

    name: str
    kind: str
    ram_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is behind a profile, for people: each a sentence or more."""

    emulated: str
    real: str
    unproven: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipProfile:
    """One chip.

    Attributes:
        name: E.g. ``mt3620``.
        sku: What devices report as chip SKU, e.g. ``MT3620AN``.
        architecture: Instruction set of high-level applications, e.g. ``armv7``.
        flash: Geometry of the flash it usually has, a name in ``content/flash``; empty when the profile does not say.
        other_flash: Other geometries that boards with it have; None when the profile does not say: all.
        boot_components: In boot order.
        peripherals: Manifest key -> names; ``Gpio`` -> decimal pin numbers. Empty when the profile does not say.
        pins: Peripheral name -> pin numbers it occupies.
    """

    name: str
    title: str
    maker: str
    sku: str
    architecture: str
    boot_components: tuple[BootComponent, ...]
    limits: ChipLimits
    cores: tuple[Core, ...]
    peripherals: Mapping[str, frozenset[str]]
    pins: Mapping[str, tuple[int, ...]]
    proof: Proof
    flash: str = ""
    other_flash: tuple[str, ...] | None = None

    def boot_component(self, name: str) -> BootComponent | None:
        """The stage of this name, or None."""
        return next((component for component in self.boot_components if component.name == name), None)


def parse(document: Mapping[str, Any]) -> ChipProfile:
    """Check a decoded profile.

    Raises:
        ManifestError: unknown or missing key, value of the wrong type or out of range, a name or component used
            twice, or pins of a peripheral that the chip does not have.
    """
    field.known_keys(document, KEYS, "chip profile")
    peripherals = _peripherals(document.get("peripherals", {}))
    return ChipProfile(
        name=_name(field.required(document, "name"), "name"),
        title=field.text(field.required(document, "title"), "title"),
        maker=field.text(field.required(document, "maker"), "maker"),
        sku=field.text(field.required(document, "sku"), "sku"),
        architecture=field.text(field.required(document, "architecture"), "architecture"),
        boot_components=_boot_components(field.required(document, "boot")),
        limits=_limits(field.required(document, "limits")),
        cores=_cores(field.required(document, "core")),
        peripherals=peripherals,
        pins=_pins(document.get("pins", {}), peripherals),
        proof=_proof(field.required(document, "proof")),
        flash=_name(document["flash"], "flash") if "flash" in document else "",
        other_flash=_other_flash(document["other_flash"]) if "other_flash" in document else None,
    )


def _proof(value: object) -> Proof:
    names = ("emulated", "real", "unproven")
    table = _table(value, "proof", names)
    return Proof(**{name: field.text(field.required(table, name), f"proof.{name}") for name in names})


def _other_flash(value: object) -> tuple[str, ...]:
    names = tuple(_name(each, "other_flash") for each in _list(value, "other_flash", FLASH_LIMIT))
    _distinct(list(names), "other_flash")
    return names


def _boot_components(value: object) -> tuple[BootComponent, ...]:
    components = tuple(
        BootComponent(
            name=_name(field.required(table, "name"), f"{path}.name"),
            image_type=_image_type(field.required(table, "image_type"), f"{path}.image_type"),
            component_id=field.guid(field.required(table, "component_id"), f"{path}.component_id"),
            size_limit_bytes=field.integer(
                field.required(table, "size_limit_bytes"),
                f"{path}.size_limit_bytes",
                None,
                minimum=1,
                maximum=PACKAGE_LIMIT_BYTES,
            ),
            about=field.text(field.required(table, "about"), f"{path}.about"),
        )
        for path, table in _tables(
            value, "boot", ("name", "image_type", "component_id", "size_limit_bytes", "about"), BOOT_COMPONENT_LIMIT
        )
    )
    _distinct([component.name for component in components], "boot.name")
    _distinct([component.component_id for component in components], "boot.component_id")
    return components


def _limits(value: object) -> ChipLimits:
    names = ("flash_bytes", "ram_bytes", "application_flash_bytes", "application_ram_bytes", "mutable_storage_kb")
    table = _table(value, "limits", names)
    return ChipLimits(
        **{
            name: field.integer(field.required(table, name), f"limits.{name}", None, minimum=1, maximum=2**48)
            for name in names
        }
    )


def _cores(value: object) -> tuple[Core, ...]:
    cores = []
    for path, table in _tables(value, "core", ("name", "kind", "ram_bytes"), CORE_LIMIT):
        kind = field.required(table, "kind")
        if kind not in CORE_KINDS:
            raise field.wrong(f"{path}.kind", " or ".join(CORE_KINDS), kind)
        ram_bytes = field.integer(
            field.required(table, "ram_bytes"), f"{path}.ram_bytes", None, minimum=1, maximum=2**48
        )
        cores.append(
            Core(name=field.text(field.required(table, "name"), f"{path}.name"), kind=kind, ram_bytes=ram_bytes)
        )
    _distinct([core.name for core in cores], "core.name")
    return tuple(cores)


def _peripherals(value: object) -> Mapping[str, frozenset[str]]:
    table = _table(value, "peripherals", PERIPHERAL_KEYS)
    found: dict[str, frozenset[str]] = {}
    for key, names in table.items():
        path = f"peripherals.{key}"
        entries = _list(names, path, NAME_LIMIT)
        if key == "Gpio":
            found[key] = frozenset(str(pin) for entry in entries for pin in _pin_range(entry, path))
            continue
        for entry in entries:
            if not isinstance(entry, str) or not _PERIPHERAL.fullmatch(entry):
                raise field.wrong(path, "peripheral names such as ISU0", entry)
        _distinct(entries, path)
        found[key] = frozenset(entries)
    return MappingProxyType(found)


def _pins(value: object, peripherals: Mapping[str, frozenset[str]]) -> Mapping[str, tuple[int, ...]]:
    known = sorted({name for key, names in peripherals.items() if key != "Gpio" for name in names})
    table = _table(value, "pins", known)
    return MappingProxyType(
        {
            name: tuple(_pin(pin, f"pins.{name}") for pin in _list(pins, f"pins.{name}", 64))
            for name, pins in table.items()
        }
    )


def _pin_range(value: object, path: str) -> range:
    first, last = (_pin(pin, path) for pin in _list(value, path, 2)) if _is_pair(value) else (1, 0)
    if first > last:
        raise field.wrong(path, "ranges [first, last]", value)
    return range(first, last + 1)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def _pin(value: object, path: str) -> int:
    return field.integer(value, path, None, minimum=0, maximum=field.GPIO_PIN_LIMIT)


def _image_type(value: object, path: str) -> int:
    number = field.integer(value, path, None, minimum=1, maximum=max(IMAGE_TYPES))
    if number not in IMAGE_TYPES:
        raise field.wrong(path, "a known image type", number)
    return number


def _name(value: object, path: str) -> str:
    if not isinstance(value, str) or len(value) > 48 or not _NAME.fullmatch(value):
        raise field.wrong(path, "lower-case words joined with hyphens", value)
    return value


def _table(value: object, path: str, known: tuple[str, ...] | list[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise field.wrong(path, "a table", value)
    field.known_keys(value, known, path)
    return value


def _tables(value: object, path: str, known: tuple[str, ...], limit: int) -> list[tuple[str, Mapping[str, Any]]]:
    entries = _list(value, path, limit)
    if not entries:
        raise field.wrong(path, "at least one entry", "none")
    return [(f"{path}[{index}]", _table(entry, f"{path}[{index}]", known)) for index, entry in enumerate(entries)]


def _list(value: object, path: str, limit: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > limit:
        raise field.wrong(path, f"an array of at most {limit} entries", value)
    return value


def _distinct(values: list[Any], path: str) -> None:
    if len(set(values)) != len(values):
        raise field.wrong(path, "each value once", "one of them twice")
