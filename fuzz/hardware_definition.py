# SPDX-License-Identifier: Apache-2.0
"""Hardware definitions: any bytes are a definition or a ManifestError; a definition's own header passes its check."""

from __future__ import annotations

from armillary.errors import ManifestError
from armillary.wire.image import hardware_definition

HEAD = b'{"Metadata":{"Type":"Azure Sphere Hardware Definition","Version":1},'


def seeds() -> list[bytes]:
    return [
        (
            HEAD + b'"Description":{"Name":"board","MainCoreHeaderFileTopContent":["// top"]},"Peripherals":['
            b'{"Name":"G8","Type":"Gpio","MainCoreHeaderValue":"(8)","AppManifestValue":8},'
            b'{"Name":"LED","Type":"Gpio","Mapping":"G8","Comment":"red"},'
            b'{"Name":"CS","Type":"int","MainCoreHeaderValue":"(-1)"},'
            b'{"Name":"U","Type":"Uart","MainCoreHeaderValue":"(4)","AppManifestValue":"ISU0"}]}'
        ),
        HEAD + b'"Imports":[{"Path":"chip.json"}],"Peripherals":[{"Name":"A","Type":"Gpio","Mapping":"G8"}]}',
    ]


def fuzz(data: bytes) -> None:
    files = {"fuzz.json": data, "chip.json": seeds()[0]}
    try:
        definition = hardware_definition.parse(data, path="fuzz.json")
        hardware_definition.load("fuzz.json", files)
    except ManifestError:
        return
    hardware_definition.check_header(definition, hardware_definition.header(definition))
