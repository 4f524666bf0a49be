# SPDX-License-Identifier: Apache-2.0
"""OSV records in JSON and YAML: what is read, and hostile ones, each refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from armillary.errors import AdvisoryError
from armillary.wire.advisory import osv, osv_yaml
from armillary.wire.advisory.fields import Fields, read_time
from armillary.wire.advisory.osv import Affected, Condition, Event, Range, Severity, read_advisory
from armillary.wire.advisory.osv_yaml import read_yaml

RECORD: dict[str, Any] = {
    "id": "GO-2026-1",
    "modified": "2026-01-31T12:00:00.123Z",
    "published": "2026-01-30T12:00:00+01:00",
    "aliases": ["CVE-2026-1"],
    "upstream": ["CVE-2026-1", "CVE-2026-2"],
    "summary": "a\nb\u0007c",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}],
    "affected": [
        {
            "package": {"ecosystem": "Go", "name": "stdlib"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]}],
            "versions": ["1.0.0"],
            "ecosystem_specific": {"imports": [{"path": "net", "goos": ["windows"]}], "custom_ranges": [{"type": "?"}]},
        },
        {"ranges": [{"type": "GIT", "repo": "x", "events": []}]},
    ],
    "credits": [{"name": "nobody reads this"}],
}


def record(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**RECORD, **changes}.items() if value is not ...}).encode()


def affected(**changes: Any) -> bytes:
    return record(affected=[{**RECORD["affected"][0], **changes}])


def test_a_record_is_read() -> None:
    found = read_advisory(b"\xef\xbb\xbf" + record())
    assert (found.id, found.modified, found.withdrawn) == ("GO-2026-1", 1_769_860_800, None)
    assert found.published == 1_769_770_800
    assert found.names == ("GO-2026-1", "CVE-2026-1", "CVE-2026-2")
    assert found.summary == "a b c"
    assert found.severity == (Severity("CVSS_V3", "CVSS:3.1/AV:N"),)
    assert found.affected == (
        Affected(
            ecosystem="Go",
            name="stdlib",
            versions=("1.0.0",),
            ranges=(Range("SEMVER", (Event("introduced", "0"), Event("fixed", "1.2.3"))),),
            conditions=(Condition("net", ("windows",), ()),),
        ),
    )


def test_two_keys_in_one_event_are_two_events() -> None:
    given = [{"type": "SEMVER", "events": [{"introduced": "1.0.0", "fixed": "1.2.0"}]}]
    assert read_advisory(affected(ranges=given)).affected[0].ranges[0].events == (
        Event("introduced", "1.0.0"),
        Event("fixed", "1.2.0"),
    )


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (record(id=...), "id: text"),
        (record(id=""), "id: text"),
        (record(id="A B"), "id"),
        (record(id="A" * 200), "id"),
        (record(id=7), "id"),
        (record(modified=...), "modified: a time"),
        (record(modified="yesterday"), "modified"),
        (record(modified="2026-01-31"), "modified"),
        (record(modified="2026-13-31T12:00:00Z"), "modified"),
        (record(modified="2026-01-31T12:00:00"), "modified"),
        (record(withdrawn=3), "withdrawn"),
        (record(aliases="CVE-2026-1"), "aliases: a list"),
        (record(aliases=["a", 7]), r"aliases\[1\]"),
        (record(aliases=["a\nb"]), r"aliases\[0\]"),
        (record(aliases=["a"] * (osv.MAX_NAMES + 1)), "at most 2000"),
        (record(summary=[]), "summary"),
        (record(severity=[{"type": "CVSS_V3"}]), r"severity\[0\].score"),
        (record(affected={}), "affected: a list"),
        (record(affected=["x"]), r"affected\[0\]: an object"),
        (affected(package=["x"]), r"affected\[0\].package: an object"),
        (affected(package={"ecosystem": "Go"}), r"affected\[0\].package.name"),
        (affected(versions=[""]), r"affected\[0\].versions\[0\]"),
        (affected(versions=["1"] * (osv.MAX_VERSIONS + 1)), "at most 50000"),
        (affected(ranges=[{"type": "NEW", "events": []}]), r"ranges\[0\].type: one of ECOSYSTEM, GIT, SEMVER"),
        (affected(ranges=[{"type": "SEMVER", "events": [{"fixed": "1"}]}]), r"ranges\[0\].events: an introduced"),
        (affected(ranges=[{"type": "SEMVER", "events": [{}]}]), r"events\[0\]: one of introduced"),
        (affected(ranges=[{"type": "SEMVER", "events": [{"introduced": 0}]}]), r"events\[0\].introduced"),
        (affected(ecosystem_specific={"imports": [{"goos": "linux"}]}), r"imports\[0\].goos: a list"),
        (b"[" * 500_000, "not JSON"),
        (b'{"id": "A", "id": "B"}', "each key once"),
        (b'{"id": NaN}', "NaN"),
        (b"\xff", "not JSON"),
        (b"[]", "a JSON object"),
        (b'{"id": "\\ud800", "modified": "2026-01-31T12:00:00Z"}', "id"),
        (b'{"id": 1' + b"0" * 5000 + b"}", "not JSON"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_its_place(data: bytes, named: str) -> None:
    with pytest.raises(AdvisoryError, match=named) as caught:
        read_advisory(data)
    assert len(caught.value.message) < 1000


def test_a_record_of_a_hundred_megabytes_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osv, "MAX_BYTES", 100)
    with pytest.raises(AdvisoryError, match="at most 100 bytes"):
        read_advisory(record())


def test_imports_of_other_ecosystems_mean_nothing() -> None:
    assert read_advisory(affected(ecosystem_specific={"imports": "x"})).affected[0].conditions == ()
    assert read_advisory(affected(ecosystem_specific=[])).affected[0].conditions == ()


def test_times_need_an_offset() -> None:
    assert read_time("1970-01-01T00:00:01Z") == 1
    assert read_time("0001-01-01T00:00:00Z") is not None
    for odd in ("1970-01-01T00:00:01", "19700101T000001Z    ", 5, None, "9999-12-31T23:59:60Z", "x" * 30):
        assert read_time(odd) is None


YAML = b"""\
id: PYSEC-2026-1
modified: 2026-01-31T12:00:00Z
withdrawn:
details: |-
  text: with a colon
affected:
- package: {name: x, ecosystem: PyPI}
  ranges:
  - type: ECOSYSTEM
    events:
    - introduced: "0"
    - fixed: 1.10
  versions: [1.0, "1.1", 1.20]
"""


def test_yaml_takes_scalars_as_they_are_written() -> None:
    found = read_yaml(YAML)
    assert found.affected[0].versions == ("1.0", "1.1", "1.20")
    assert found.affected[0].ranges[0].events[1] == Event("fixed", "1.10")
    assert (found.withdrawn, found.id) == (None, "PYSEC-2026-1")


BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (each, each, b", ".join([b"*%c" % (each - 1)] * 9)) for each in range(ord("b"), ord("j"))
)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (BOMB, "no anchors and aliases, got one at line 1"),
        (YAML.replace(b"id: P", b"id: &x P"), "no anchors"),
        (YAML + b"more: *x", "aliases"),
        (YAML.replace(b"PYSEC-2026-1", b"!!python/object/apply:os.system [id]"), "no tags"),
        (YAML.replace(b"id: P", b"id: !!binary P"), "no tags"),
        (YAML + b"id: again", "each key once, got 'id' at line 14"),
        (YAML + b"<<: x", "each key once"),
        (YAML + b"? [a]\n: b", "texts as keys"),
        (YAML + b"---\nid: x", "one document, got 2"),
        (b"", "one document, got 0"),
        (b"- id", "a mapping"),
        (b"{" * 100_000, "at most 64 levels|YAML document"),
        (b"[" * 1_000 + b"]" * 1_000, "at most 64 levels"),
        (b"a: [", "a YAML document"),
        (b"\xff\xfe", "a YAML document"),
        (b"a: \x00", "a YAML document"),
        (YAML.replace(b"id: P", b"ident: P"), "id: text"),
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused(data: bytes, named: str) -> None:
    with pytest.raises(AdvisoryError, match=named):
        read_yaml(data)


def test_yaml_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osv_yaml, "MAX_BYTES", 100)
    with pytest.raises(AdvisoryError, match="at most 100 bytes"):
        read_yaml(YAML)


def test_fields_name_their_place_and_cut_what_they_show() -> None:
    fields = Fields({"a": {"b": ["x" * 5000]}}, "format")
    within = fields.within("a")
    assert within is not None
    with pytest.raises(AdvisoryError, match=r"format: expected a\.b\[0\]: text of 1 to 512") as caught:
        within.texts("b", most=1)
    assert len(caught.value.message) < 300
