# SPDX-License-Identifier: Apache-2.0
"""Known exploited vulnerabilities and EPSS scores: what is read, what is refused, and a real catalogue."""

from __future__ import annotations

import gzip
import json
from datetime import date
from typing import Any

import pytest
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.errors import AdvisoryError
from armillary.wire.advisory import epss
from armillary.wire.advisory.epss import read_scores
from armillary.wire.advisory.kev import read_catalogue

ENTRY = {"cveID": "CVE-2026-12345", "vendorProject": "V", "product": "P", "vulnerabilityName": "N", "dateAdded": "2026-01-31",
         "dueDate": "2026-02-21", "knownRansomwareCampaignUse": "Known"}  # fmt: skip
CATALOGUE: dict[str, Any] = {
    "catalogVersion": "2026.01.31", "dateReleased": "2026-01-31T12:00:00.5Z", "count": 1, "vulnerabilities": [ENTRY],
}  # fmt: skip
HEAD = "#model_version:v2025.03.14,score_date:2026-01-31T12:55:00Z\ncve,epss,percentile\n"


def catalogue(**changes: Any) -> bytes:
    return json.dumps({**CATALOGUE, **changes}).encode()


def test_a_catalogue_is_read() -> None:
    found = read_catalogue(catalogue())
    entry = found.entries["CVE-2026-12345"]
    assert (entry.added, entry.due, entry.ransomware, entry.product) == (
        date(2026, 1, 31),
        date(2026, 2, 21),
        True,
        "V P",
    )
    assert (found.version, found.released) == ("2026.01.31", 1_769_860_800)


@needs(VECTORS / "advisories" / "kev")
def test_the_real_one_of_a_day_is_read() -> None:
    found = read_catalogue((VECTORS / "advisories" / "kev" / "known_exploited_vulnerabilities.json").read_bytes())
    assert (found.version, len(found.entries)) == ("2025.08.25", 1404)
    assert found.entries["CVE-2021-44228"].ransomware


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"count": 2}, "count: 1, the number of vulnerabilities, got 2"),
        ({"count": True}, "count"),
        ({"vulnerabilities": []}, "count: 0"),
        ({"vulnerabilities": [ENTRY, ENTRY], "count": 2}, r"vulnerabilities\[1\].cveID: each once"),
        ({"vulnerabilities": [{**ENTRY, "cveID": "cve-2026-12345"}]}, "cveID"),
        ({"vulnerabilities": [{**ENTRY, "dateAdded": "31.1.2026"}]}, "dateAdded"),
        ({"vulnerabilities": [{**ENTRY, "dateAdded": None}]}, "dateAdded"),
        ({"vulnerabilities": [{**ENTRY, "dueDate": "2026-02-30"}]}, "dueDate"),
        ({"dateReleased": None}, "dateReleased"),
        ({"catalogVersion": 7}, "catalogVersion"),
    ],
)
def test_a_catalogue_that_is_none_is_refused_with_its_place(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(AdvisoryError, match=named):
        read_catalogue(catalogue(**changes))


def test_scores_are_read_plain_and_compressed() -> None:
    text = (HEAD + "CVE-2026-0001,0.01142,0.77562\nCVE-2026-0002,1,1.0\nCVE-2026-0003,4e-05,0.0\n").encode()
    found = read_scores(text)
    assert found.scores["CVE-2026-0001"] == (0.01142, 0.77562)
    assert found.scores["CVE-2026-0003"] == (4e-05, 0.0)
    assert read_scores(gzip.compress(text)) == found
    assert (found.model, found.day) == ("v2025.03.14", 1_769_864_100)
    assert read_scores(text.replace(b"00Z", b"00+0000")).day == found.day


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "line 1"),
        (b"cve,epss,percentile\n", "line 1"),
        (HEAD.replace("cve,", "id,").encode(), "line 2"),
        (HEAD.encode() + b"CVE-2026-0001,0.5\n", "line 3"),
        (HEAD.encode() + b"CVE-2026-0001,0.5,1.5\n", "line 3"),
        (HEAD.encode() + b"CVE-2026-0001,nan,0.5\n", "line 3"),
        (HEAD.encode() + b"CVE-2026-0001,-0.1,0.5\n", "line 3"),
        (HEAD.encode() + b"GHSA-1,0.1,0.5\n", "line 3"),
        (HEAD.encode() + b"CVE-2026-0001,0.1,0.5\n" * 2, "line 4: each CVE once"),
        (HEAD.encode() + b"x" * 1_000_000, "line 3"),
        (HEAD.encode() + b"\xff", "ASCII"),
        (gzip.compress(HEAD.encode(), mtime=0)[:-9], "CSV in ASCII"),
        (b"\x1f\x8bjunk", "CSV in ASCII"),
    ],
)  # fmt: skip
def test_scores_that_are_none_are_refused_with_their_line(data: bytes, named: str) -> None:
    with pytest.raises(AdvisoryError, match=named):
        read_scores(data)


def test_a_bomb_of_empty_lines_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epss, "MAX_BYTES", 100_000)
    bomb = gzip.compress(HEAD.encode() + b"\n" * 20_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(AdvisoryError, match="at most 100000 bytes unpacked"):
        read_scores(bomb)
