# SPDX-License-Identifier: Apache-2.0
"""The device image's bill of materials is what CycloneDX' own schema takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.device_image import debian
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.bill.document import bill_of_materials
from armillary.device_image.bill.part import package_parts
from armillary.device_image.debian import Origin
from armillary.device_image.recipe import pins_file, read_pins, read_recipe, recipe_folder
from armillary.device_image.uboot.source import part as uboot_part

SCHEMA = VECTORS / "advisories/cyclonedx-1.6/bom-1.6.schema.json"
pytestmark = needs(SCHEMA.parent)
jsonschema = pytest.importorskip("jsonschema", reason="no jsonschema; to enable: scripts/install-test-tools")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(SCHEMA.read_bytes())
    kind = jsonschema.validators.validator_for(schema)
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_bill_of_an_image_is_valid_by_the_schema(
    architecture: str, validator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recipe_folder()
    monkeypatch.setattr(
        debian, "origin_of", lambda file: Origin("all", file.name, "1", (("glibc", "2.41-12+deb13u4"),))
    )
    pins = read_pins(pins_file(folder, architecture)).values()
    bill = bill_of_materials(
        read_recipe(folder),
        [*package_parts(pins, {pin.name: Path(pin.name) for pin in pins}), uboot_part()],
        {"cbor2": "cbor2==5.7.1 --hash=sha256:00", "cryptography": "cryptography==46.0.3"},
        own={"armillary/errors.py": Path(__file__)},
        root_hash="a" * 64,
    )
    assert [each.message for each in validator.iter_errors(json.loads(bill))] == []
    broken = json.loads(bill.replace(b'"library"', b'"libary"', 1))
    assert [each.message for each in validator.iter_errors(broken)] != []
