# SPDX-License-Identifier: Apache-2.0
"""Hardware definitions: imports, mappings, resolution of manifests, and the C header."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures import images

from armillary.errors import ManifestError
from armillary.wire.image import app_manifest, hardware_definition
from armillary.wire.image.hardware_definition import HardwareDefinition

METADATA = {"Type": "Azure Sphere Hardware Definition", "Version": 1}


def definition(*peripherals: dict[str, Any], imports: tuple[str, ...] = (), **changes: Any) -> bytes:
    document = {
        "Metadata": METADATA,
        "Description": {"Name": "board"},
        "Imports": [{"Path": path} for path in imports],
        "Peripherals": list(peripherals),
    } | changes
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def gpio(name: str, pin: int) -> dict[str, Any]:
    return {"Name": name, "Type": "Gpio", "MainCoreHeaderValue": f"({pin})", "AppManifestValue": pin}


def mapped(name: str, to: str, kind: str = "Gpio") -> dict[str, Any]:
    return {"Name": name, "Type": kind, "Mapping": to}


UART = {"Name": "CHIP_UART0", "Type": "Uart", "MainCoreHeaderValue": "(4)", "AppManifestValue": "ISU0"}
CHANNEL = {"Name": "CHIP_ADC_CHANNEL0", "Type": "int", "MainCoreHeaderValue": "(0)"}
FILES = {
    "chips/chip.json": definition(gpio("CHIP_GPIO8", 8), gpio("CHIP_GPIO9", 9), UART, CHANNEL),
    "sdk/board.json": definition(mapped("BOARD_LED", "CHIP_GPIO8"), imports=("../chips/chip.json",)),
    "app/appliance.json": definition(
        mapped("LED", "BOARD_LED"),
        mapped("BUTTON", "CHIP_GPIO9"),
        mapped("PORT", "CHIP_UART0", "Uart"),
        mapped("CHANNEL", "CHIP_ADC_CHANNEL0", "int"),
        imports=("board.json",),
    ),
}


def load() -> hardware_definition.DefinitionSet:
    return hardware_definition.load("app/appliance.json", FILES, search=["sdk"])


def manifest(**capabilities: Any) -> app_manifest.AppManifest:
    return app_manifest.parse(images.manifest("x", images.COMPONENT, Capabilities=capabilities), resolved=False)


def test_names_resolve_through_imports_and_mappings():
    resolved = hardware_definition.resolve(manifest(Gpio=["$LED", "$BUTTON", 12], Uart=["$PORT"]), [load()])
    assert resolved.capabilities.gpio == (8, 9, 12)
    assert resolved.capabilities.uart == ("ISU0",)


def test_first_definition_that_knows_a_name_decides():
    other = hardware_definition.load("a", {"a": definition(gpio("LED", 3))})
    source = manifest(Gpio=["$LED"])
    assert hardware_definition.resolve(source, [other, load()]).capabilities.gpio == (3,)
    assert hardware_definition.resolve(source, [load(), other]).capabilities.gpio == (8,)


def test_a_manifest_without_names_needs_no_definition():
    assert hardware_definition.resolve(manifest(Gpio=[1]), []) == manifest(Gpio=[1])


@pytest.mark.parametrize(
    ("capabilities", "reason"),
    [
        ({"Gpio": ["$NOTHING"]}, "a name of a hardware definition"),
        ({"Gpio": ["$PORT"]}, "type Gpio"),
        ({"Uart": ["$LED"]}, "type Uart"),
        ({"Adc": ["$CHANNEL"]}, "type Adc"),
        ({"Gpio": ["$LED", "$BOARD_LED"]}, "Azure Sphere error 2097187"),
        ({"Gpio": ["$LED", 8]}, "Azure Sphere error 2097187"),
        ({"Uart": ["$PORT"], "SpiMaster": ["ISU0"]}, "Azure Sphere error 2097187"),
    ],
)
def test_manifest_that_does_not_fit_is_refused(capabilities: dict[str, Any], reason: str):
    with pytest.raises(ManifestError, match=reason):
        hardware_definition.resolve(manifest(**capabilities), [load()])


def test_import_is_looked_up_beside_the_file_before_the_search_folders():
    files = FILES | {"app/board.json": definition(gpio("BOARD_LED", 1), gpio("CHIP_GPIO9", 2), UART, CHANNEL)}
    found = hardware_definition.load("app/appliance.json", files, search=["sdk"])
    assert found.resolve("LED", "Gpio") == 1


def test_diamond_of_imports_is_read_once():
    files = {
        "top": definition(mapped("T", "C"), imports=("left", "right")),
        "left": definition(mapped("L", "C"), imports=("chip",)),
        "right": definition(mapped("R", "C"), imports=("chip",)),
        "chip": definition(gpio("C", 5)),
    }
    assert hardware_definition.load("top", files).resolve("T", "Gpio") == 5


LOADS_REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "missing file": ({}, "a hardware definition file"),
    "missing import": ({"a": definition(imports=("b",))}, "b beside it"),
    "imports itself": ({"a": definition(imports=("a",))}, "a -> a"),
    "imports in a loop": (
        {"a": definition(imports=("b",)), "b": definition(imports=("c",)), "c": definition(imports=("b",))},
        "a -> b -> c -> b",
    ),
    "imports too deep": (
        {"a": definition(imports=("0",))} | {f"{n}": definition(imports=(f"{n + 1}",)) for n in range(20)},
        "within 16 steps",
    ),
    "name twice in a file": ({"a": definition(gpio("X", 1), gpio("X", 1))}, "each name once"),
    "name twice among imports": (
        {"a": definition(gpio("X", 1), imports=("b",)), "b": definition(gpio("X", 2))},
        "the first is in a",
    ),
    "mapping to nothing": ({"a": definition(mapped("X", "Y"))}, "a peripheral of a"),
    "mapping to itself": ({"a": definition(mapped("X", "X"))}, "X -> X"),
    "mapping in a loop": ({"a": definition(mapped("X", "Y"), mapped("Y", "X"))}, "X -> Y -> X"),
    "mapping to another type": ({"a": definition(UART, mapped("X", "CHIP_UART0"))}, "type Gpio"),
    "mappings too long": (
        {"a": definition(gpio("N20", 1), *(mapped(f"N{n}", f"N{n + 1}") for n in range(20)))},
        "within 16 steps",
    ),
}


@pytest.mark.parametrize("name", LOADS_REFUSED)
def test_load_refuses(name: str):
    files, reason = LOADS_REFUSED[name]
    with pytest.raises(ManifestError, match=reason):
        hardware_definition.load("a", files)


def one(**changes: Any) -> bytes:
    peripheral = gpio("X", 1) | changes
    return definition({key: value for key, value in peripheral.items() if value is not ...})


FILES_REFUSED: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{", "JSON"),
    "too large": (b" " * (1024 * 1024 + 1), "at most"),
    "no metadata": (definition(Metadata=...), "Metadata"),
    "another type": (definition(Metadata={"Type": "x", "Version": 1}), "Metadata.Type"),
    "version 2": (definition(Metadata=METADATA | {"Version": 2}), "Metadata.Version"),
    "version true": (definition(Metadata=METADATA | {"Version": True}), "Metadata.Version"),
    "no peripherals": (definition(Peripherals=...), "Peripherals"),
    "peripherals as an object": (definition(Peripherals={}), "an array"),
    "unknown key": (definition(Pins=[]), "unknown key"),
    "unknown key of a peripheral": (one(Pin=1), "unknown key"),
    "unknown type": (one(Type="Can"), "one of Gpio"),
    "name is no identifier": (one(Name="1X"), "C identifier"),
    "name with a space": (one(Name="X Y"), "C identifier"),
    "mapping and value": (one(Mapping="Y"), "either a Mapping"),
    "neither mapping nor value": (one(MainCoreHeaderValue=...), "either a Mapping"),
    "mapping with a manifest value": (one(Mapping="Y", MainCoreHeaderValue=...), "either a Mapping"),
    "header value that injects C": (one(MainCoreHeaderValue="1\n#include </etc/passwd>"), "a number or identifier"),
    "header value with an operator": (one(MainCoreHeaderValue="(1);system(x)"), "a number or identifier"),
    "manifest value of another kind": (one(AppManifestValue="ISU0"), "AppManifestValue"),
    "manifest value is a name": (one(AppManifestValue="$Y"), "AppManifestValue"),
    "manifest value of an int": (one(Type="int"), "no manifest value"),
    "comment of two lines": (one(Comment="a\nb"), "Comment"),
    "comment that continues": (one(Comment="a\\"), "backslash"),
    "comment that continues by trigraph": (one(Comment="a??/"), "backslash"),
    "comment that is a number": (one(Comment=1), "Comment"),
    "import of an absolute path": (definition(imports=("/etc/passwd",)), "relative path"),
    "import of a URL": (definition(imports=("http://x/y",)), "relative path"),
    "import without path": (definition(Imports=[{}]), "relative path"),
    "import with quote": (definition(imports=('a"b',)), "relative path"),
}


@pytest.mark.parametrize("name", FILES_REFUSED)
def test_file_is_refused(name: str):
    data, reason = FILES_REFUSED[name]
    with pytest.raises(ManifestError, match=reason) as caught:
        hardware_definition.parse(data, path="board.json")
    assert caught.value.error_id is None or "AppManifestValue" in caught.value.path


def header_source() -> HardwareDefinition:
    return hardware_definition.parse(
        definition(
            mapped("LED", "CHIP_GPIO8") | {"Comment": "Red LED"},
            CHANNEL,
            imports=("chips/chip.json", "./beside.json", "../../chip/chip.json"),
            Description={"Name": "b", "MainCoreHeaderFileTopContent": ["/* Copyright. */", ""]},
        ),
        path="some/where/board.json",
    )


def test_header_text():
    assert hardware_definition.header(header_source()) == (
        "/* Copyright. */\n\n\n"
        "// Generated from ../../board.json by armillary hardware-definition generate-header. Do not edit.\n\n"
        '#pragma once\n#include "../../chips/inc/hw/chip.h"\n#include "beside.h"\n'
        '#include "../../../../chip/inc/hw/chip.h"\n\n'
        "// Red LED\n#define LED CHIP_GPIO8\n\n"
        "#define CHIP_ADC_CHANNEL0 (0)\n"
    )


def test_header_passes_its_own_check_and_another_does_not():
    source = header_source()
    text = hardware_definition.header(source)
    hardware_definition.check_header(source, text)
    hardware_definition.check_header(source, text.replace("\n", "\r\n").replace("Red LED", "another comment"))
    with pytest.raises(ManifestError, match="CHIP_GPIO8, got #define LED CHIP_GPIO9"):
        hardware_definition.check_header(source, text.replace("CHIP_GPIO8", "CHIP_GPIO9"))
    with pytest.raises(ManifestError, match="got nothing"):
        hardware_definition.check_header(source, text.replace("#define CHIP_ADC_CHANNEL0 (0)", ""))
    with pytest.raises(ManifestError, match="expected nothing"):
        hardware_definition.check_header(source, text + "#define MORE 1\n")


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: install gcc or clang")
def test_headers_compile_and_give_the_values(tmp_path: Path):
    for path, data in FILES.items():
        parsed = hardware_definition.parse(data, path=path)
        header = tmp_path / Path(path).parent / "inc" / "hw" / Path(path).with_suffix(".h").name
        header.parent.mkdir(parents=True)
        header.write_text(hardware_definition.header(parsed))
    source = tmp_path / "check.c"
    source.write_text(
        '#include "app/inc/hw/appliance.h"\n_Static_assert(LED == 8 && BUTTON == 9 && PORT == 4 && CHANNEL == 0, "values");\n'
    )
    done = subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", f"-I{tmp_path}/sdk/inc/hw", str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
