# SPDX-License-Identifier: Apache-2.0
"""Releases of before the upgrade are known as stand-ins by their image ids, which no real package has."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

from armillary import content
from armillary.boot import virtual_chain
from armillary.boot.profile import parse
from armillary.engines.records.migrate import upgrade
from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.schema.rows import OsRelease
from armillary.engines.records.store import Records
from armillary.service.updates.os_feeds import real_chips

CHIP = parse(content.chip_document("gateway-x86-64"))
RELEASE = (
    "INSERT INTO os_release (release_id, chip, version, feed, created_at, published_at, imported_from) "
    "VALUES (?, ?, ?, 'Retail', 1, 1, ?)"
)
COMPONENT = "INSERT INTO os_component VALUES (?, ?, ?, ?, ?, ?, x'00', 1, 10)"


# By version: of which version each package is a stand-in, None where it is a real one; and whence it was imported.
OLDER = {
    "26.11": (("26.11", "26.11"), None),
    "26.12": ((None, None), None),
    "26.13": ((None, "26.13"), None),
    "26.14": (("26.14", "26.14"), "a CoRIM"),
}
# Uploads of what was built for another release, older, newer, a draft that was never published, or several.
UPLOADED = {
    "26.15": (("26.11", "26.11"), None),
    "26.16": (("26.17", "26.17"), None),
    "26.17": (("26.17", "26.17"), None),
    "26.18": ((None, "26.11"), None),
}


def after_the_upgrade(
    database: Path, older: Mapping[str, tuple[tuple[str | None, str | None], str | None]]
) -> tuple[OsRelease, ...]:
    """The releases of a database of revision 0051 once it was upgraded."""
    upgrade(database, "0051")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as before:
        for number, (version, (made_for, imported)) in enumerate(older.items(), 1):
            release_id = UUID(int=number).hex
            before.execute(RELEASE, (release_id, CHIP.name, version, imported))
            for place, (part, of_version) in enumerate(zip(CHIP.boot_components, made_for, strict=True)):
                image_id = uuid4() if of_version is None else virtual_chain.image_id(part, of_version)
                row = (release_id, place, part.name, part.image_type, part.component_id.hex, image_id.hex)
                before.execute(COMPONENT, row)
    with contextlib.closing(Records.open(database, fresh=False)) as records:
        return tuple(records.read(release_rows.every))


def test_releases_of_before_are_told_apart(tmp_path: Path) -> None:
    found = after_the_upgrade(tmp_path / "records.db", OLDER)
    assert {one.version: one.is_stand_in for one in found} == {
        "26.11": True,
        "26.12": False,
        "26.13": True,
        "26.14": False,
    }


def test_stand_ins_that_were_uploaded_under_another_version_are_no_real_release(tmp_path: Path) -> None:
    """Or they would end all stand-ins of their chip, which has nothing else."""
    alone = {version: release for version, release in OLDER.items() if version == "26.11"} | UPLOADED
    found = after_the_upgrade(tmp_path / "records.db", alone)
    assert [one.version for one in found if not one.is_stand_in] == []
    assert not real_chips(found)
