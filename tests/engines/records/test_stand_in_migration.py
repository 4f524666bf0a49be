# SPDX-License-Identifier: Apache-2.0
"""Releases of before the upgrade are known as stand-ins by their image ids, which no real package has."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from uuid import UUID, uuid4

from armillary import content
from armillary.boot import virtual_chain
from armillary.boot.profile import parse
from armillary.engines.records.migrate import upgrade
from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.store import Records

CHIP = parse(content.chip_document("gateway-x86-64"))
RELEASE = (
    "INSERT INTO os_release (release_id, chip, version, feed, created_at, published_at, imported_from) "
    "VALUES (?, ?, ?, 'Retail', 1, 1, ?)"
)
COMPONENT = "INSERT INTO os_component VALUES (?, ?, ?, ?, ?, ?, x'00', 1, 10)"


def test_releases_of_before_are_told_apart(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0051")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        # Version, which components are stand-ins, and whence it was imported.
        for number, (version, stand_ins, imported) in enumerate(
            (
                ("26.11", (True, True), None),
                ("26.12", (False, False), None),
                ("26.13", (False, True), None),
                ("26.14", (True, True), "a CoRIM"),
            ),
            1,
        ):
            release_id = UUID(int=number).hex
            older.execute(RELEASE, (release_id, CHIP.name, version, imported))
            for place, (part, is_stand_in) in enumerate(zip(CHIP.boot_components, stand_ins, strict=True)):
                image_id = virtual_chain.image_id(part, version) if is_stand_in else uuid4()
                row = (release_id, place, part.name, part.image_type, part.component_id.hex, image_id.hex)
                older.execute(COMPONENT, row)
    with contextlib.closing(Records.open(database, fresh=False)) as records:
        found = {one.version: one.is_stand_in for one in records.read(release_rows.every)}
    assert found == {"26.11": True, "26.12": False, "26.13": True, "26.14": False}
