# SPDX-License-Identifier: Apache-2.0
"""Our matcher against recorded answers of OSV: what api.osv.dev said, what its tools enumerated, how they order versions.

Three sources. PyPA's records list every affected version beside the ranges: OSV's own tools made the lists. The scanner's
test data has questions to api.osv.dev with the answers as they were recorded; the library below it has pairs of versions
in order, generated from what the ecosystems' own tools say. The last two run where OSV_SCANNER_DIR and OSV_SCALIBR_DIR
name checkouts of google/osv-scanner (run with add393a2) and google/osv-scalibr (c2094f2d).

docs/reference/advisories.md explains each difference that is pinned here.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.advisory.affected import Answer, compile_affected
from armillary.advisory.ecosystem import folded, split_ecosystem
from armillary.advisory.match import Index, Matcher
from armillary.advisory.version_order import key_of
from armillary.wire.advisory.osv import Advisory, advisory_of, read_advisory
from armillary.wire.advisory.osv_yaml import read_yaml

ADVISORIES = VECTORS / "advisories"
SCANNER, SCALIBR = (os.environ.get(name, "") for name in ("OSV_SCANNER_DIR", "OSV_SCALIBR_DIR"))
HOW = "to enable: git clone https://github.com/google/{0} and name its folder in {1}"
# Ranges and lists of the same record that disagree: one list is too short, one has what was before the first release.
ONLY_IN_RANGE = {("PYSEC-2020-220", "ansible"): 57}
ONLY_LISTED = {("PYSEC-2023-61", "django"): 6}
# Recorded answers that lack what our copy of a record says: the record is of another day than the answer.
NEWER_RECORDS = {"GO-2026-6088"}
CHANGED_RECORDS = {
    ("urllib3", "1.24.3"): {"PYSEC-2021-108"},
    ("dnsjava:dnsjava", "3.4.0"): {"GHSA-crjg-w57m-rqqf", "GHSA-mmwx-rj87-vfgr"},
}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PURL_TYPES = {
    "PyPI": "pypi", "Go": "golang", "npm": "npm", "crates.io": "cargo", "Maven": "maven", "RubyGems": "gem",
    "NuGet": "nuget",
}  # fmt: skip


def pypa() -> list[Advisory]:
    return [read_yaml(path.read_bytes()) for path in sorted((ADVISORIES / "pypa").glob("*.yaml"))]


@needs(ADVISORIES)
def test_every_record_of_the_databases_is_read() -> None:
    assert len(pypa()) == 330
    go = [read_advisory(path.read_bytes()) for path in sorted((ADVISORIES / "go").glob("*.json"))]
    assert len(go) == 360
    assert sum(each.withdrawn is not None for each in go) == 1
    conditional = [one for each in go for entry in each.affected for one in entry.conditions if one.goos or one.goarch]
    assert conditional


@needs(ADVISORIES)
def test_ranges_say_what_the_lists_that_osv_enumerated_say() -> None:
    advisories = pypa()
    known: dict[str, set[str]] = {}
    for each in advisories:
        for entry in each.affected:
            known.setdefault(folded("PyPI", entry.name), set()).update(entry.versions)
    pairs, only_in_range, only_listed = 0, Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for each in advisories:
        for entry in each.affected:
            if each.withdrawn is not None or all(one.kind == "GIT" for one in entry.ranges):
                continue
            listed = frozenset(entry.versions)
            compiled = compile_affected(entry, partial(key_of, "pypi"))
            for version in known[folded("PyPI", entry.name)]:
                try:
                    key = key_of("pypi", version)
                except ValueError:  # not PEP 440: only a list can say anything
                    assert compiled.answer(version, None)[0] is (Answer.LISTED if version in listed else Answer.OPEN)
                    continue
                pairs += 1
                in_range = any(one.affects(key) for one in compiled.ranges)
                answer, _ = compiled.answer(version, key)
                assert (answer is Answer.NOT_AFFECTED) == (not in_range and version not in listed)
                only_in_range[each.id, entry.name] += in_range and version not in listed
                only_listed[each.id, entry.name] += version in listed and not in_range
    assert pairs > 80_000
    assert +only_in_range == ONLY_IN_RANGE
    assert +only_listed == ONLY_LISTED


def recorded(folder: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each question to api.osv.dev with its answer."""
    for path in sorted(folder.rglob("cassettes/*.yaml")):
        tape = yaml.load(path.read_text(), LOADER)  # noqa: S506 - a safe one, written in C where it is there
        for each in (tape or {}).get("interactions") or []:
            if each["request"]["url"].endswith("/querybatch") and each["response"]["body"].lstrip().startswith("{"):
                answers = json.loads(each["response"]["body"]).get("results", [])
                yield from zip(json.loads(each["request"]["body"])["queries"], answers, strict=False)


def held() -> list[Advisory]:
    """The records that are at hand: the databases', and those that the library's tests are made of."""
    go = [read_advisory(path.read_bytes()) for path in (ADVISORIES / "go").glob("*.json")]
    others = [
        advisory_of({"modified": "2024-01-01T00:00:00Z", **each})
        for path in sorted(Path(SCALIBR).rglob("vulnerabilities.json") if SCALIBR else ())
        for each in json.loads(path.read_text()).get("vulns", [])
    ]
    return [*pypa(), *go, *others]


@needs(ADVISORIES)
@pytest.mark.skipif(not SCANNER, reason=HOW.format("osv-scanner", "OSV_SCANNER_DIR"))
def test_the_matcher_says_what_osv_answered() -> None:
    index = Index(held())
    matcher = Matcher(index)
    asked: set[tuple[str, str, str]] = set()
    answers, differences = 0, []
    for question, answer in recorded(Path(SCANNER)):
        package, version = question.get("package") or {}, question.get("version")
        kind = PURL_TYPES.get(split_ecosystem(package.get("ecosystem", ""))[0])
        if kind is None or not version or (kind, package["name"], version) in asked:
            continue
        asked.add((kind, package["name"], version))
        name = package["name"].replace(":", "/").replace("@", "%40")
        said = {each["id"] for each in answer.get("vulns", [])} & index.advisories.keys()
        found = {each.advisory for each in matcher.match(f"pkg:{kind}/{name}@{version}").matches}
        answers += len(said)
        explained = NEWER_RECORDS | CHANGED_RECORDS.get((package["name"], version), set())
        if said - found or found - said - explained:
            differences.append((package["name"], version, said - found, found - said))
    assert differences == []
    assert len(asked) >= 300
    assert answers >= (90 if SCALIBR else 30)


# File of google/osv-scalibr -> order. Others order versions of ecosystems that are matched by lists only.
ORDERED_FILES = {
    "alpine": "apk", "debian": "debian", "maven": "maven", "nuget": "nuget", "pypi": "pypi", "redhat": "rpm",
    "rubygems": "gem", "semver": "semver",
}  # fmt: skip
# Pairs of which one is no version by its ecosystem's grammar, at most: these are never ordered, only equal as text.
UNORDERED_SHARE = 0.02


@pytest.mark.skipif(not SCALIBR, reason=HOW.format("osv-scalibr", "OSV_SCALIBR_DIR"))
@pytest.mark.parametrize("name", sorted(ORDERED_FILES))
def test_versions_are_ordered_as_osv_orders_them(name: str) -> None:
    agreed, unordered, wrong = 0, 0, []
    for path in sorted((Path(SCALIBR) / "semantic" / "testdata").glob(f"{name}-versions*.txt")):
        for line in path.read_text().splitlines():
            pair = re.fullmatch(r"(?!#|//)(\S+)\s+([<=>])\s+(\S+)", line.strip())
            if pair is None:
                continue
            try:
                one, other = (key_of(ORDERED_FILES[name], pair[number]) for number in (1, 3))
            except ValueError:
                unordered += 1
                continue
            if {"<": one < other, "=": one == other, ">": other < one}[pair[2]]:
                agreed += 1
            else:
                wrong.append(line)
    assert wrong == []
    assert agreed > 30
    assert unordered <= max(UNORDERED_SHARE * agreed, 45)
