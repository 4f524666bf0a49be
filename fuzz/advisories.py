# SPDX-License-Identifier: Apache-2.0
"""Advisories, feeds, VEX documents and package URLs: any bytes are read, or are an AdvisoryError."""

from __future__ import annotations

import contextlib
import gzip
import io
import json

from tests.wire.advisory.test_kev_and_epss import CATALOGUE, HEAD
from tests.wire.advisory.test_osv import RECORD, YAML
from tests.wire.advisory.test_osv_archive import GOOD, archive
from tests.wire.advisory.test_vex_documents import CSAF, CYCLONEDX, OPENVEX

from armillary.errors import AdvisoryError
from armillary.wire.advisory.epss import read_scores
from armillary.wire.advisory.kev import read_catalogue
from armillary.wire.advisory.osv import read_advisory
from armillary.wire.advisory.osv_archive import read_archive
from armillary.wire.advisory.osv_yaml import read_yaml
from armillary.wire.advisory.package_url import parse
from armillary.wire.advisory.vex_document import read_vex

READERS = (
    read_advisory,
    read_yaml,
    read_catalogue,
    read_scores,
    read_vex,
    lambda data: list(read_archive(io.BytesIO(data))),
    lambda data: parse(data.decode("utf-8", "surrogateescape")),
)


def seeds() -> list[bytes]:
    documents = [json.dumps(each).encode() for each in (RECORD, CATALOGUE, OPENVEX, CYCLONEDX, CSAF)]
    scores = (HEAD + "CVE-2026-0001,0.5,0.5\n").encode()
    return [
        *documents,
        YAML,
        scores,
        gzip.compress(scores),
        archive(("a.json", GOOD)),
        b"pkg:deb/debian/x@1?arch=a&b=c#d",
    ]


def fuzz(data: bytes) -> None:
    for read in READERS:
        with contextlib.suppress(AdvisoryError):
            read(data)
