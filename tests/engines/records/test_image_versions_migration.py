# SPDX-License-Identifier: Apache-2.0
"""Versions of files for bridged devices are those of their images after the upgrade; other images have none."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from armillary.engines.records.migrate import upgrade

CATALOG, OTHER, FILE, PACKAGE = (bytes([number]).hex() * 16 for number in range(1, 5))
ADD_CATALOG = (
    "INSERT INTO catalog (catalog_id, name, name_key, resource_group, tags, created_at) VALUES (?, ?, ?, '', '{}', 1)"
)
ADD_IMAGE = (
    "INSERT INTO image (image_id, catalog_id, component_id, image_type, name, size, sha256, built_at, architecture,"
    " allowed_connections, regional_data_boundary, uploaded_at, uploaded_by)"
    " VALUES (?, ?, ?, 10, 'gateway', 1, x'00', 1, 'any', '[]', 'None', 1, 'ann')"
)
ADD_ARTIFACT = (
    "INSERT INTO bridge_artifact (catalog_id, image_id, version, part, filename, sha1, md5)"
    " VALUES (?, ?, ?, 'os', 'a.swu', x'01', x'02')"
)


def test_versions_of_files_for_bridged_devices_become_those_of_their_images(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0047")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        for catalog_id, name in ((CATALOG, "alpha"), (OTHER, "beta")):
            older.execute(ADD_CATALOG, (catalog_id, name, name))
        for catalog_id, image_id in ((CATALOG, FILE), (OTHER, FILE), (CATALOG, PACKAGE)):
            older.execute(ADD_IMAGE, (image_id, catalog_id, image_id))
        older.execute(ADD_ARTIFACT, (CATALOG, FILE, "2.1"))
        older.execute(ADD_ARTIFACT, (OTHER, FILE, "2.2"))
    upgrade(database)
    with contextlib.closing(sqlite3.connect(database)) as newer:
        found = newer.execute("SELECT catalog_id, image_id, version FROM image").fetchall()
        files = newer.execute("SELECT catalog_id, part, filename, sha1, md5 FROM bridge_artifact").fetchall()
    assert sorted(found) == sorted([(CATALOG, FILE, "2.1"), (OTHER, FILE, "2.2"), (CATALOG, PACKAGE, "")])
    assert sorted(files) == [(each, "os", "a.swu", b"\x01", b"\x02") for each in (CATALOG, OTHER)]
