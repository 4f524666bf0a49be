# SPDX-License-Identifier: Apache-2.0
"""Certificates on record: which of several of a kind is the newest."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from armillary.engines.records.queries import certificates as certificate_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.store import Records


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = Records.open(tmp_path / "records.db", fresh=True)
    yield opened
    opened.close()


def record(serial: str) -> CertificateRecord:
    return CertificateRecord(
        serial=serial,
        kind="root",
        catalog_id=None,
        subject="CN=Root",
        thumbprint=serial,
        not_before=0,
        not_after=10,
        revoked_at=None,
        der=b"",
        issued_at=1,
    )


@pytest.mark.parametrize("serials", [("A1", "B2"), ("B2", "A1")])
def test_of_two_that_were_made_in_one_second_the_later_is_the_newest(
    records: Records, serials: tuple[str, ...]
) -> None:
    for serial in serials:
        records.write(partial(certificate_rows.add, record=record(serial)))
    found = records.read(lambda connection: certificate_rows.of_kind(connection, "root"))
    assert tuple(each.serial for each in found) == serials
