# SPDX-License-Identifier: Apache-2.0
"""The device image's bill of materials is what CycloneDX' own schema takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.bill import bill_of_materials
from armillary.device_image.recipe import pins_file, read_pins, read_recipe, recipe_folder

SCHEMA = VECTORS / "advisories/cyclonedx-1.6/bom-1.6.schema.json"
pytestmark = needs(SCHEMA.parent)
jsonschema = pytest.importorskip("jsonschema", reason="no jsonschema; to enable: scripts/install-test-tools")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(SCHEMA.read_bytes())
    kind = jsonschema.validators.validator_for(schema)
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_bill_of_an_image_is_valid_by_the_schema(architecture: str, validator: Any) -> None:
    folder = recipe_folder()
    bill = bill_of_materials(
        read_recipe(folder),
        read_pins(pins_file(folder, architecture)).values(),
        {"cbor2": "cbor2==5.7.1 --hash=sha256:00", "cryptography": "cryptography==46.0.3"},
        architecture=ARCHITECTURES[architecture].debian,
        own={"armillary/errors.py": Path(__file__)},
        root_hash="a" * 64,
    )
    assert [each.message for each in validator.iter_errors(json.loads(bill))] == []
    broken = json.loads(bill.replace(b'"library"', b'"libary"', 1))
    assert [each.message for each in validator.iter_errors(broken)] != []
