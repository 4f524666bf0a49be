# SPDX-License-Identifier: Apache-2.0
"""The suite of ECMA-427 (package-url/purl-spec) against our parser: what it says to parse, we parse to the same parts.

It runs where PURL_SPEC_DIR names a checkout (run with 16f3d0e3). Parts are compared without regard to case and to
``_`` and ``-``: what each type does with them is decided where names are compared. The type ``git`` has a rule of its
own for slashes, and no advisories. What the suite refuses for a type's own reasons is accepted here and matches nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from armillary.errors import AdvisoryError
from armillary.wire.advisory.package_url import PackageUrl, parse

SUITE = os.environ.get("PURL_SPEC_DIR", "")
HOW = "to enable: git clone https://github.com/package-url/purl-spec and name its folder in PURL_SPEC_DIR"


def cases() -> Iterator[Mapping[str, Any]]:
    for path in sorted(Path(SUITE, "tests").rglob("*-test.json")):
        yield from (each for each in json.loads(path.read_text())["tests"] if each["test_type"] == "parse")


def folded(*values: object) -> list[str]:
    plain = (sorted(each.items()) if isinstance(each, dict) else each for each in values)
    return [str(each or "").lower().replace("_", "-") for each in plain]


@pytest.mark.skipif(not SUITE, reason=HOW)
def test_the_suite_is_parsed() -> None:
    wrong, parsed, refused = [], 0, 0
    for case in cases():
        found: PackageUrl | None
        try:
            found = parse(case["input"])
        except AdvisoryError:
            found = None
        if case.get("expected_failure"):
            refused += found is None
            continue
        said = case["expected_output"]
        if found is None:
            wrong.append(case["input"])
        elif found.type != "git":
            words = ("type", "namespace", "name", "version", "qualifiers", "subpath")
            ours = (found.type, found.namespace, found.name, found.version, dict(found.qualifiers), found.subpath)
            parsed += 1
            if folded(*ours) != folded(*(said.get(word) for word in words)):
                wrong.append(case["input"])
    assert wrong == []
    assert parsed >= 100
    assert refused >= 10
