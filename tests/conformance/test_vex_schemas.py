# SPDX-License-Identifier: Apache-2.0
"""What we write of vulnerabilities is what the published schemas of OpenVEX, CycloneDX and CSAF take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from tests.conformance.foreign_vectors import VECTORS, needs
from tests.wire.advisory.test_vex_writing import HEAD, claims

from armillary.wire.advisory.vex_writing import FORMATS, Claim, write

ADVISORIES = VECTORS / "advisories"
SCHEMAS: Mapping[str, str] = {
    "openvex": "openvex/openvex_json_schema.json",
    "cyclonedx": "cyclonedx-1.6/bom-1.6.schema.json",
    "csaf": "csaf/csaf_json_schema.json",
}
pytestmark = needs(ADVISORIES)
jsonschema = pytest.importorskip("jsonschema", reason="no jsonschema; to enable: scripts/install-test-tools")


def validator(form: str) -> Any:
    schema = json.loads((ADVISORIES / SCHEMAS[form]).read_bytes())
    kind = jsonschema.validators.validator_for(schema)
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=25)
@given(given_claims=claims)
def test_documents_are_valid_by_their_schema(form: str, given_claims: list[Claim]) -> None:
    faults = [each.message for each in validator(form).iter_errors(write(form, HEAD, given_claims))]
    assert faults == []


@pytest.mark.parametrize("form", FORMATS)
def test_the_schemas_refuse_what_is_wrong(form: str) -> None:
    """The control: the validators look at what we write."""
    for wrong in ({"@context": 7, "bomFormat": "x", "document": {}}, {"statements": [{}], "vulnerabilities": [{}]}):
        assert list(validator(form).iter_errors(wrong)), wrong
