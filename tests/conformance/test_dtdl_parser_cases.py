# SPDX-License-Identifier: Apache-2.0
"""The test cases of the public DTDL parser: what its own reading of DTDL 2 and 3 accepts and refuses.

Set ARMILLARY_DTDL_PARSER_DIR to a checkout of digitaltwinconsortium/DTDLParser. Nothing of it is copied here. Left out
are cases about its own options and about extensions that we refuse by name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from armillary.errors import ModelError
from armillary.twin.template.schema import mismatches
from armillary.wire.dtdl.model import Standard, parse_model
from armillary.wire.dtdl.names import EXTENSIONS

CHECKOUT = Path(os.environ.get("ARMILLARY_DTDL_PARSER_DIR") or "/nonexistent")
pytestmark = pytest.mark.skipif(
    not (CHECKOUT / "test-cases").is_dir(),
    reason="the parser's cases are absent: set ARMILLARY_DTDL_PARSER_DIR to a checkout of digitaltwinconsortium/DTDLParser",
)

# About a resolver that fetches models, and about an option of that parser.
_NOT_OURS = re.compile(r"ReferencedRemote|MaxDtdlVersion")
_EXTENSION = re.compile(r"dtmi:dtdl:extension:\w+;\d+")


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for folder in ("generated", "specification", "doc-examples"):
        for path in sorted((CHECKOUT / "test-cases" / folder).glob("*.json")):
            loaded = json.loads(path.read_text("utf-8-sig"))
            for number, case in enumerate(loaded if isinstance(loaded, list) else [loaded]):
                text = json.dumps(case.get("input", []))
                unknown = set(_EXTENSION.findall(text)) - set(EXTENSIONS)
                if "input" in case and "context;4" not in text and not (unknown or _NOT_OURS.search(path.stem)):
                    yield f"{path.stem}[{number}]", case


def is_accepted(case: dict[str, Any]) -> bool:
    documents = [(f"d{number}", document) for number, document in enumerate(case["input"])]
    try:
        parse_model(documents, allow_unknown_contexts="AllowUndefinedExtensions" in case.get("options", []))
    except ModelError:
        return False
    return True


def instances() -> Iterator[tuple[str, str, bool]]:
    """Of each elementary schema: its name, a JSON text, and whether it is a value of that schema."""
    for path in sorted((CHECKOUT / "test-cases" / "generated").glob("*Instances*V[23].json")):
        for each in json.loads(path.read_text("utf-8-sig")).get("instances", []):
            found = re.fullmatch(r"dtmi:dtdl:instance:Schema:(\w+);2", each["subject"])
            if found is not None and "conforms" in each:
                yield found[1], each["submit"], each["conforms"]


def fits(schema: str, text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return not mismatches(Standard(schema), value, "value")


def test_every_value_is_judged_as_the_parser_does() -> None:
    found = list(instances())
    assert len(found) > 500
    assert [each for each in found if fits(each[0], each[1]) != each[2]] == []


def test_every_case_is_judged_as_the_parser_does() -> None:
    found = list(cases())
    assert len(found) > 14_000
    assert [name for name, case in found if is_accepted(case) != case["valid"]] == []
