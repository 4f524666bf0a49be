# SPDX-License-Identifier: Apache-2.0
"""DTDL's own test cases: every requirement, completion rule, allowance and recommendation of versions 2 and 3.

They come with the language specification: set ARMILLARY_DTDL_DIR to a checkout of Azure/opendigitaltwins-dtdl.
Each file is one rule; each case says whether its documents are a valid model. Nothing of it is copied here.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from armillary.errors import ModelError
from armillary.wire.dtdl.model import parse_model

CHECKOUT = Path(os.environ.get("ARMILLARY_DTDL_DIR") or "/nonexistent")
pytestmark = pytest.mark.skipif(
    not (CHECKOUT / "DTDL" / "v2" / "spec").is_dir(),
    reason="the language's own cases are absent: set ARMILLARY_DTDL_DIR to a checkout of Azure/opendigitaltwins-dtdl",
)


def cases(version: str) -> list[tuple[str, int, dict[str, Any]]]:
    return [
        (path.stem, number, case)
        for path in sorted((CHECKOUT / "DTDL" / version / "spec").glob("*.json"))
        for number, case in enumerate(json.loads(path.read_text("utf-8-sig")))
    ]


def broken(case: dict[str, Any]) -> set[str]:
    """Names of the rules that are broken; none for a valid model."""
    documents = [(f"d{number}", document) for number, document in enumerate(case["input"])]
    try:
        parse_model(documents, allow_unknown_contexts="AllowUndefinedExtensions" in case["options"])
    except ModelError as error:
        return {re.search(r", (\w+)\)$", what)[1] for _, what in error.faults}  # type: ignore[index]
    return set()


@pytest.mark.parametrize(("version", "least"), [("v2", 6600), ("v3", 6700)])
def test_every_case_is_judged_as_the_specification_does(version: str, least: int) -> None:
    found = cases(version)
    assert len(found) >= least
    wrong = [f"{name}[{number}]" for name, number, case in found if bool(broken(case)) == case["valid"]]
    assert wrong == []


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_the_rule_that_is_named_is_mostly_the_one_of_the_case(version: str) -> None:
    # Not always: a case of "must be a localizable string" breaks a rule of localizable strings, which is narrower.
    named = total = 0
    for name, _, case in cases(version):
        if case["valid"] or not name.startswith("Requirement-"):
            continue
        rule = name.removeprefix("Requirement-").removesuffix(version.upper())
        total += 1
        named += any(each in rule or rule in each for each in broken(case))
    assert named / total > 0.75
