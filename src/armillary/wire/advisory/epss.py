# SPDX-License-Identifier: Apache-2.0
"""EPSS scores of FIRST: how likely a CVE is exploited within 30 days, as a CSV file, plain or compressed by gzip.

::

    #model_version:v2025.03.14,score_date:2026-01-31T12:55:00Z
    cve,epss,percentile
    CVE-1999-0001,0.01142,0.77562

Scores and percentiles are 0 to 1. The file is read line by line; unpacked it has at most :data:`MAX_BYTES`.

Source: first.org/epss/data_stats.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TextIO

from armillary.errors import AdvisoryError
from armillary.wire.advisory.fields import read_time, shown
from armillary.wire.advisory.kev import CVE

WHAT: Final = "epss-scores"
# 300,000 CVEs have 10 MB unpacked.
MAX_BYTES: Final = 256 << 20
MAX_LINE: Final = 256
_GZIP: Final = b"\x1f\x8b"
_NUMBER: Final = re.compile(r"(?:0(?:\.[0-9]{1,12})?|1(?:\.0{1,12})?|[0-9](?:\.[0-9]{1,12})?e-[0-9]{1,2})", re.ASCII)
_HEADER: Final = re.compile(r"#model_version:(v[0-9.]{1,20}),score_date:([0-9T:+.Z-]{20,40})", re.ASCII)
_OFFSET: Final = re.compile(r"([+-][0-9]{2})([0-9]{2})$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scores:
    """Score and percentile by CVE; ``day`` is when they were computed, in seconds since 1970."""

    model: str
    day: int
    scores: Mapping[str, tuple[float, float]]


def read_scores(data: bytes) -> Scores:
    """All scores of a file; AdvisoryError names the line that is none."""
    try:
        text = io.TextIOWrapper(_opened(data), encoding="ascii", newline="\n")
        return _scores(text)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise AdvisoryError(WHAT, expected="CSV in ASCII, plain or by gzip", got=f"{error!s:.120}") from error


def _opened(data: bytes) -> gzip.GzipFile | io.BytesIO:
    if len(data) > MAX_BYTES:
        raise AdvisoryError(WHAT, expected=f"at most {MAX_BYTES} bytes", got=f"{len(data)} bytes")
    return gzip.GzipFile(fileobj=io.BytesIO(data)) if data.startswith(_GZIP) else io.BytesIO(data)


def _scores(text: TextIO) -> Scores:
    head = _HEADER.fullmatch(text.readline(MAX_LINE).rstrip("\r\n"))
    day = None if head is None else read_time(_OFFSET.sub(r"\1:\2", head[2]))
    if head is None or day is None:
        raise AdvisoryError(WHAT, expected="line 1: #model_version:v...,score_date:TIME", got="another line")
    if text.readline(MAX_LINE).rstrip("\r\n") != "cve,epss,percentile":
        raise AdvisoryError(WHAT, expected="line 2: cve,epss,percentile", got="another line")
    found: dict[str, tuple[float, float]] = {}
    left = MAX_BYTES
    number = 2
    while line := text.readline(MAX_LINE):
        number += 1
        left -= len(line)
        if left < 0:
            raise AdvisoryError(WHAT, expected=f"at most {MAX_BYTES} bytes unpacked", got="more")
        if not line.strip():
            continue
        cve, score, percentile = _row(line.rstrip("\r\n"), number)
        if cve in found:
            raise AdvisoryError(WHAT, expected=f"line {number}: each CVE once", got=cve)
        found[cve] = (score, percentile)
    return Scores(head[1], day, MappingProxyType(found))


def _row(line: str, number: int) -> tuple[str, float, float]:
    parts = line.split(",")
    if len(parts) != 3 or CVE.fullmatch(parts[0]) is None or not all(map(_NUMBER.fullmatch, parts[1:])):
        raise AdvisoryError(WHAT, expected=f"line {number}: CVE,0 to 1,0 to 1", got=shown(line))
    return parts[0], float(parts[1]), float(parts[2])
