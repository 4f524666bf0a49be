# SPDX-License-Identifier: Apache-2.0
"""Attacks on what is known of vulnerabilities: hide one, feign one, or make the reader burst.

Each attack has its control: the same with the check taken out gets through.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.advisory.test_assessment import ADVISORY, BAD, GOOD, NOW, PYPI, STALE, said, state
from tests.wire.advisory.test_kev_and_epss import CATALOGUE
from tests.wire.advisory.test_osv import BOMB
from tests.wire.advisory.test_osv_archive import GOOD as RECORD, archive
from univers import gentoo

from armillary.advisory import assessment, statements, version_order
from armillary.advisory.assessment import State
from armillary.advisory.coverage import Coverage, Feed, Freshness
from armillary.advisory.match import Index
from armillary.advisory.version_order import key_of
from armillary.errors import AdvisoryError
from armillary.wire.advisory import kev, osv, osv_archive
from armillary.wire.advisory.fields import Fields
from armillary.wire.advisory.kev import read_catalogue
from armillary.wire.advisory.osv import Advisory, read_advisory
from armillary.wire.advisory.osv_archive import ArchivedRecord, read_archive
from armillary.wire.advisory.osv_yaml import read_yaml
from armillary.wire.advisory.package_url import PackageUrl
from armillary.wire.advisory.vex import Product, Status


def leaves(value: Any, known: dict[int, int]) -> int:
    """How many values a document has once aliases are written out."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = sum(leaves(each, known) for each in (value.values() if isinstance(value, dict) else value))
    return known[id(value)]


def test_aliases_of_aliases_are_refused() -> None:
    with pytest.raises(AdvisoryError, match="no anchors and aliases"):
        read_yaml(BOMB)


def test_mutation_without_the_refusal_of_aliases() -> None:
    assert len(BOMB) < 1_000
    assert leaves(yaml.safe_load(BOMB), {}) > 400_000_000


def test_an_archive_that_bursts_is_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osv_archive, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(osv_archive, "MAX_UNPACKED_BYTES", 8 << 20)
    bomb = archive(*((f"{number}.json", b" " * (4 << 20)) for number in range(20)))
    taken: list[int] = []
    monkeypatch.setattr(osv_archive, "_record", lambda _, data: taken.append(len(data)))
    with pytest.raises(AdvisoryError, match="bytes unpacked"):
        list(read_archive(io.BytesIO(bomb)))
    assert max(taken) == (1 << 20) + 1
    assert sum(taken) <= 8 << 20


def test_mutation_without_the_limit_of_an_archive() -> None:
    bomb = archive(*((f"{number}.json", b" " * (4 << 20)) for number in range(5)))
    with zipfile.ZipFile(io.BytesIO(bomb)) as opened:
        assert sum(len(opened.read(each)) for each in opened.namelist()) > 500 * len(bomb)


# A feed that nobody renews: whoever keeps it from us hides every new advisory.
def test_a_feed_that_is_held_back_makes_good_news_unknown() -> None:
    for feeds in ((STALE,), (), (Feed(name="f", as_of=NOW + 86_400, ecosystems=PYPI.ecosystems),)):
        assert state(GOOD, feeds=feeds).state is State.UNKNOWN
    silenced = (said(Status.NOT_AFFECTED),)
    assert state(BAD, feeds=(STALE,), vex=silenced).by_advisory() == {"PYSEC-1": State.UNKNOWN}


def test_mutation_without_freshness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessment, "coverage_of", lambda *_: Coverage(Freshness.FRESH, "f", 1))
    assert state(GOOD, feeds=()).state is State.NONE_KNOWN


def test_a_statement_about_another_image_silences_nothing() -> None:
    other = Product(("sha256:bb",), ("pkg:pypi/x@1.0",))
    assert state(BAD, vex=(said(Status.NOT_AFFECTED, other),)).state is State.AFFECTED


def test_mutation_without_the_product_of_a_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_is_about", lambda *_: True)
    monkeypatch.setattr(statements, "_place", lambda _: "")
    other = Product(("sha256:bb",), ("pkg:pypi/x@1.0",))
    assert state(BAD, vex=(said(Status.NOT_AFFECTED, other),)).by_advisory() == {"PYSEC-1": State.NOT_AFFECTED}


def test_a_statement_about_another_version_silences_nothing() -> None:
    assert state(BAD, vex=(said(Status.FIXED, Product(("pkg:pypi/x@1.0.1",))),)).state is State.AFFECTED


def test_mutation_without_the_version_of_a_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = statements._parsed

    def versionless(text: str) -> PackageUrl | None:
        found = parsed(text)
        return found and PackageUrl(found.type, found.namespace, found.name, "", found.qualifiers)

    monkeypatch.setattr(statements, "_parsed", versionless)
    assert state(BAD, vex=(said(Status.FIXED, Product(("pkg:pypi/x@1.0.1",))),)).state is not State.AFFECTED


def test_a_record_of_before_does_not_take_the_place_of_a_newer_one() -> None:
    old = Advisory(id=ADVISORY.id, modified=0, withdrawn=0)
    for order in ((old, ADVISORY), (ADVISORY, old)):
        assert Index(order).advisories[ADVISORY.id] is ADVISORY


def test_mutation_of_the_time_of_a_record() -> None:
    later = Advisory(id=ADVISORY.id, modified=ADVISORY.modified + 1, withdrawn=0)
    for order in ((later, ADVISORY), (ADVISORY, later)):
        assert Index(order).advisories[ADVISORY.id] is later


def cut_off() -> bytes:
    """A catalogue of two entries of which somebody left one out."""
    return json.dumps({**CATALOGUE, "count": 2}).encode()


def test_a_catalogue_with_entries_left_out_is_refused() -> None:
    with pytest.raises(AdvisoryError, match="count: 1, the number of vulnerabilities, got 2"):
        read_catalogue(cut_off())


def test_mutation_without_the_count_of_a_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    class Uncounted(Fields):
        def each(self, name: str, *, most: int) -> Iterator[Fields]:
            yield from super().each(name, most=most)

        def take(self, name: str) -> Any:
            return len(super().take("vulnerabilities")) if name == "count" else super().take(name)

    monkeypatch.setattr(kev, "Fields", Uncounted)
    assert len(read_catalogue(cut_off()).entries) == 1


# Two readers that take different values of a key: the one who signed saw the first, we would see the last.
TWICE = b'{"id": "A-1", "modified": "2026-01-31T12:00:00Z", "withdrawn": null, "withdrawn": "2026-01-31T12:00:00Z"}'


def test_a_key_that_stands_twice_withdraws_nothing() -> None:
    with pytest.raises(AdvisoryError, match="each key once"):
        read_advisory(TWICE)


def test_mutation_without_the_refusal_of_keys_that_stand_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osv, "decode_json", lambda data, **_: json.loads(data))
    assert read_advisory(TWICE).withdrawn is not None


# A version of the attacker's making, behind which a library sees a fixed one.
def test_a_version_with_a_tail_that_a_library_passes_over_has_no_place() -> None:
    with pytest.raises(ValueError, match="grammar"):
        key_of("apk", "9.9-r1-1.0")


def test_mutation_without_the_grammar_of_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_order, "_matched", lambda *_: None)
    assert gentoo.is_valid("9.9-r1-1.0")
    assert key_of("apk", "2.0") < key_of("apk", "9.9-r1-1.0")


def test_a_record_that_is_none_hides_no_other() -> None:
    found = list(read_archive(io.BytesIO(archive(("0.json", b"{"), ("1.json", RECORD), ("2.json", b"[]")))))
    assert [isinstance(each, ArchivedRecord) for each in found] == [False, True, False]
