# SPDX-License-Identifier: Apache-2.0
"""Hardware definitions: names for a board's peripherals, and the C header that mirrors them.

A JSON object::

    Metadata      {"Type": "Azure Sphere Hardware Definition", "Version": 1}, required
    Description   {"Name": string, "MainCoreHeaderFileTopContent": string[]}
    Imports       [{"Path": string}]
    Peripherals   [{"Name", "Type", "Mapping", "Comment"} or
                   {"Name", "Type", "MainCoreHeaderValue", "AppManifestValue", "Comment"}], required

``Name`` is a C identifier. ``Type`` is a peripheral key of the app manifest (``Gpio``, ``Uart``, ...) or ``int`` for
a number that only the header carries. ``Mapping`` names a peripheral of the same type in this file or in one that it
imports, directly or not; the chain must end at a peripheral with values. An import's path is looked up beside the
importing file, then in each search folder, as the SDK does with its own folder.

The caller reads the files and passes them as a mapping. Names must be unique among all files of one definition: with
two owners of a name, what a manifest gets would depend on the order of imports.

Source: Azure/azure-sphere-samples (25.02) HardwareDefinitions/; Azure Sphere documentation, "Hardware definitions".
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.errors import ManifestError
from armillary.wire.image import app_manifest, manifest_field as field
from armillary.wire.image.app_manifest import AppManifest

TYPE = "Azure Sphere Hardware Definition"
VERSION = 1
INTEGER = "int"
TYPES = (*app_manifest.PERIPHERAL_KEYS, INTEGER)

# A chip's whole definition is about 60 KiB.
DEFINITION_LIMIT_BYTES = 1024 * 1024
PERIPHERAL_LIMIT = 4096
IMPORT_LIMIT = 32
# appliance -> board -> module -> chip is four; a chain longer than this is a mistake.
DEPTH_LIMIT = 16
# Where the header of a definition is, seen from the definition.
HEADER_FOLDER = "inc/hw"
HEADER_LINE_LIMIT = 200

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# A number or an identifier, in parentheses or not: what #define may put into an application's source.
_HEADER_VALUE = re.compile(r"\(-?[A-Za-z0-9_]{1,128}\)|-?[A-Za-z0-9_]{1,128}")
_DIRECTIVE = re.compile(r"#\s*(include|define)\b.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peripheral:
    """One name."""

    name: str  # C identifier
    type: str  # one of TYPES
    mapping: str | None = None  # name of the peripheral it stands for; None if it has values of its own
    header_value: str | None = None  # what the C header defines it as
    manifest_value: int | str | None = None  # what a packed manifest holds; None for an ``int``
    comment: str = ""  # one line for people


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareDefinition:
    """One file."""

    path: str  # its key in the mapping of files
    name: str  # ``Description.Name``
    header_top: tuple[str, ...]  # first lines of the generated header
    imports: tuple[str, ...]  # paths as written
    peripherals: tuple[Peripheral, ...]  # in the order of the file


@dataclass(frozen=True, slots=True)
class DefinitionSet:
    """A file with everything it imports."""

    root: HardwareDefinition  # the file that was asked for
    peripherals: Mapping[str, Peripheral]  # of all files, by name

    def resolve(self, name: str, kind: str) -> int | str:
        """The manifest value of a name (without the dollar sign) under a manifest key, such as ``Gpio``.

        Raises ManifestError as :meth:`follow`, for another type, and where there is no manifest value at the end.
        """
        peripheral = self.follow(name)
        if peripheral.type != kind:
            raise ManifestError(f"${name}", expected=f"type {kind}", got=peripheral.type)
        if peripheral.manifest_value is None:
            raise ManifestError(f"${name}", expected="an AppManifestValue", got=f"none at {peripheral.name}")
        return peripheral.manifest_value

    def follow(self, name: str) -> Peripheral:
        """The peripheral with values at the end of a name's mappings, all of one type.

        Raises ManifestError for an unknown name, a change of type, or mappings that do not end in DEPTH_LIMIT steps.
        """
        trail = [name]
        while len(trail) <= DEPTH_LIMIT:
            peripheral = self.peripherals.get(trail[-1])
            if peripheral is None:
                raise ManifestError(f"${name}", expected=f"a peripheral of {self.root.path}", got=_trail(trail))
            first = self.peripherals[name]
            if peripheral.type != first.type:
                raise ManifestError(
                    f"${name}", expected=f"type {first.type}", got=f"{peripheral.type} at {_trail(trail)}"
                )
            if peripheral.mapping is None:
                return peripheral
            trail.append(peripheral.mapping)
            if trail.count(peripheral.mapping) > 1:
                break
        raise ManifestError(f"${name}", expected=f"mappings that end within {DEPTH_LIMIT} steps", got=_trail(trail))


def parse(data: bytes, *, path: str) -> HardwareDefinition:
    """Read one file, without its imports; they are relative to ``path``, its name.

    Raises ManifestError if it is not JSON, has an unknown key, or a value that is not allowed.
    """
    document = app_manifest.decode_json(data, what=path, limit=DEFINITION_LIMIT_BYTES)
    field.known_keys(document, ("Metadata", "Description", "Imports", "Peripherals"), path)
    metadata = _object(field.required(document, "Metadata"), "Metadata", ("Type", "Version"))
    if metadata.get("Type") != TYPE:
        raise field.wrong("Metadata.Type", TYPE, metadata.get("Type"))
    if isinstance(metadata.get("Version"), bool) or metadata.get("Version") != VERSION:
        raise field.wrong("Metadata.Version", str(VERSION), metadata.get("Version"))
    description = _object(document.get("Description", {}), "Description", ("Name", "MainCoreHeaderFileTopContent"))
    imports = _array(document.get("Imports", []), "Imports", IMPORT_LIMIT)
    peripherals = _array(field.required(document, "Peripherals"), "Peripherals", PERIPHERAL_LIMIT)
    return HardwareDefinition(
        path=path,
        name=field.optional_text(description, "Name", limit=field.TEXT_LIMIT_CHARACTERS) or "",
        header_top=_header_lines(description.get("MainCoreHeaderFileTopContent", [])),
        imports=tuple(_import(value, f"Imports[{index}]") for index, value in enumerate(imports)),
        peripherals=tuple(_peripheral(value, f"Peripherals[{index}]") for index, value in enumerate(peripherals)),
    )


def load(path: str, files: Mapping[str, bytes], *, search: Sequence[str] = ()) -> DefinitionSet:
    """Read a file and everything it imports, from ``files``: path with forward slashes -> bytes.

    ``search`` are folders, as they occur in the paths, in which imports are looked up after the importing file's own.

    Raises:
        ManifestError: a file is missing or not valid, imports form a loop or go too deep, two files define one
            name, or a mapping leads nowhere, in a loop or to another type.
    """
    peripherals: dict[str, Peripheral] = {}
    owners: dict[str, str] = {}
    done: set[str] = set()

    def visit(current: str, trail: tuple[str, ...]) -> HardwareDefinition:
        if current in trail or len(trail) >= DEPTH_LIMIT:
            raise ManifestError(
                current, expected=f"imports that end within {DEPTH_LIMIT} steps", got=_trail([*trail, current])
            )
        definition = parse(files[current], path=current)
        for peripheral in definition.peripherals:
            if peripheral.name in owners:
                raise ManifestError(
                    f"{current}: {peripheral.name}",
                    expected="each name once among a file and its imports",
                    got=f"a second definition; the first is in {owners[peripheral.name]}",
                )
            owners[peripheral.name] = current
            peripherals[peripheral.name] = peripheral
        for written in definition.imports:
            imported = _locate(written, current, files, search)
            if imported in done:
                continue
            visit(imported, (*trail, current))
            done.add(imported)
        return definition

    if path not in files:
        raise ManifestError(path, expected="a hardware definition file", got="nothing")
    found = DefinitionSet(visit(path, ()), peripherals)
    for name in found.peripherals:
        found.follow(name)
    return found


def resolve(
    manifest: AppManifest,
    definitions: Iterable[DefinitionSet],
    *,
    mutable_storage_limit_kb: int = app_manifest.MUTABLE_STORAGE_LIMIT_KB,
) -> AppManifest:
    """Replace every ``$NAME`` of a source manifest with its value; the first definition that knows a name decides.

    Raises:
        ManifestError: a name that no definition knows or that is of another type; or, as Azure Sphere reports
            it, two peripherals on one pin after resolution.
    """
    known = tuple(definitions)
    changes: dict[str, Any] = {}
    for key in app_manifest.PERIPHERAL_KEYS:
        attribute = app_manifest.CAPABILITY_KEYS[key][0]
        values = getattr(manifest.capabilities, attribute)
        changes[attribute] = tuple(
            _resolve_one(value[1:], key, known) if isinstance(value, str) and value.startswith("$") else value
            for value in values
        )
    capabilities = dataclasses.replace(manifest.capabilities, **changes)
    return app_manifest.parse(
        app_manifest.encode(dataclasses.replace(manifest, capabilities=capabilities)),
        mutable_storage_limit_kb=mutable_storage_limit_kb,
    )


def header(definition: HardwareDefinition) -> str:
    """The C header of one file; the headers of its imports are included, not repeated.

    It belongs into ``inc/hw/`` beside the file, named as the file with ``.h``; the imports' headers are looked for in
    the same place beside each import.
    """
    file_name = posixpath.basename(definition.path)
    lines = [*definition.header_top, ""] if definition.header_top else []
    lines += [
        f"// Generated from ../../{file_name} by armillary hardware-definition generate-header. Do not edit.",
        "",
        "#pragma once",
        *(f'#include "{_header_of(path)}"' for path in definition.imports),
        "",
    ]
    for peripheral in definition.peripherals:
        if peripheral.comment:
            lines.append(f"// {peripheral.comment}")
        lines += [f"#define {peripheral.name} {peripheral.mapping or peripheral.header_value}", ""]
    return "\n".join(lines)


def _header_of(written: str) -> str:
    """Where the header of an import is, seen from ``inc/hw/`` beside the file that imports it, as Azure Sphere has it.

    ``../chip/chip.json`` has ``../../../chip/inc/hw/chip.h``; ``chip.json``, of the same folder, has ``chip.h``.
    """
    folder, name = posixpath.split(posixpath.normpath(written))
    header = f"{posixpath.splitext(name)[0]}.h"
    return posixpath.join("../..", folder, HEADER_FOLDER, header) if folder else header


def check_header(definition: HardwareDefinition, text: str) -> None:
    """Check that a header has the includes and defines of the definition, in the same order; comments may differ.

    Headers that the Azure Sphere tools generated pass as well. Raises ManifestError with the first line that differs.
    """
    expected = _directives(header(definition))
    got = _directives(text)
    for number in range(max(len(expected), len(got))):
        wanted = expected[number] if number < len(expected) else "nothing"
        found = got[number] if number < len(got) else "nothing"
        if wanted != found:
            raise ManifestError(f"{definition.path}: header", expected=wanted, got=found)


def _directives(text: str) -> list[str]:
    stripped = (line.strip() for line in text.splitlines())
    return [" ".join(line.split()) for line in stripped if _DIRECTIVE.fullmatch(line)]


def _resolve_one(name: str, kind: str, definitions: Sequence[DefinitionSet]) -> int | str:
    for definition in definitions:
        if name in definition.peripherals:
            return definition.resolve(name, kind)
    searched = ", ".join(definition.root.path for definition in definitions) or "no hardware definition was given"
    raise ManifestError(f"Capabilities.{kind}", expected="a name of a hardware definition", got=f"${name} ({searched})")


def _locate(written: str, importer: str, files: Mapping[str, bytes], search: Sequence[str]) -> str:
    for folder in (posixpath.dirname(importer), *search):
        candidate = posixpath.normpath(posixpath.join(folder, written))
        if candidate in files:
            return candidate
    raise ManifestError(
        f"{importer}: Imports",
        expected=f"{written} beside it or in {', '.join(search) or 'a search folder (none was given)'}",
        got="no such file",
    )


def _peripheral(value: object, path: str) -> Peripheral:
    known = ("Name", "Type", "Mapping", "MainCoreHeaderValue", "AppManifestValue", "Comment")
    document = _object(value, path, known)
    kind = document.get("Type")
    if kind not in TYPES:
        raise field.wrong(f"{path}.Type", f"one of {', '.join(TYPES)}", kind)
    mapping = document.get("Mapping")
    header_value = document.get("MainCoreHeaderValue")
    manifest_value = document.get("AppManifestValue")
    if ("Mapping" in document) == ("MainCoreHeaderValue" in document) or (mapping and "AppManifestValue" in document):
        raise field.wrong(path, "either a Mapping or a MainCoreHeaderValue with its AppManifestValue", "both or none")
    if header_value is not None and not (isinstance(header_value, str) and _HEADER_VALUE.fullmatch(header_value)):
        raise field.wrong(f"{path}.MainCoreHeaderValue", "a number or identifier such as (8)", header_value)
    if "AppManifestValue" in document:
        manifest_value = _manifest_value(manifest_value, kind, f"{path}.AppManifestValue")
    return Peripheral(
        name=_identifier(document.get("Name"), f"{path}.Name"),
        type=kind,
        mapping=None if header_value is not None else _identifier(mapping, f"{path}.Mapping"),
        header_value=header_value,
        manifest_value=manifest_value,
        comment=_line(document.get("Comment", ""), f"{path}.Comment"),
    )


def _manifest_value(value: object, kind: str, path: str) -> int | str:
    """What a manifest of this key would accept."""
    if kind == INTEGER:
        raise field.wrong(path, "no manifest value for an int", value)
    _, read, error_id = app_manifest.CAPABILITY_KEYS[kind]
    context = field.Context(names_allowed=False, storage_limit_kb=0)
    found: int | str = read([value], path, error_id, context)[0]
    return found


def _import(value: object, path: str) -> str:
    written = _object(value, path, ("Path",)).get("Path")
    if not isinstance(written, str) or not re.fullmatch(r"[A-Za-z0-9._/+-]{1,255}", written) or written.startswith("/"):
        raise field.wrong(f"{path}.Path", "a relative path with forward slashes", written)
    return written


def _header_lines(value: object) -> tuple[str, ...]:
    path = "Description.MainCoreHeaderFileTopContent"
    return tuple(_line(line, f"{path}[{index}]") for index, line in enumerate(_array(value, path, HEADER_LINE_LIMIT)))


def _line(value: object, path: str) -> str:
    """One line of the header; a backslash at its end would swallow the next one."""
    if value == "":
        return ""
    line = field.text(value, path)
    if line.rstrip().endswith(("\\", "??/")):
        raise field.wrong(path, "a line that does not end with a backslash", line)
    return line


def _identifier(value: object, path: str) -> str:
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise field.wrong(path, "a C identifier", value)
    return value


def _object(value: object, path: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise field.wrong(path, "an object", value)
    field.known_keys(value, known, path)
    return value


def _array(value: object, path: str, limit: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > limit:
        raise field.wrong(path, f"an array of at most {limit} entries", value)
    return value


def _trail(names: Sequence[str]) -> str:
    return " -> ".join(names)
