# SPDX-License-Identifier: Apache-2.0
"""The application's documents live and die with the hub."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from armillary.errors import DataFolderError, DataFolderInUseError
from armillary.hub.hub import Hub
from armillary.roles.platform import platform_of


def no_device(_: bytes) -> str:
    raise AssertionError("no device connects here")


def test_documents_are_kept_beside_the_series_over_a_restart(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", authenticate=no_device)
    platform = platform_of(hub, tmp_path / "hub", clock=lambda: 1_795_000_000.0)
    made = platform.documents.put("rule", "hot", {"limit": 30}, by="ann")
    assert made.changed_ms == 1_795_000_000_000
    with pytest.raises(DataFolderInUseError):
        Hub(tmp_path / "hub", authenticate=no_device)
    asyncio.run(hub.close())
    again = Hub(tmp_path / "hub", authenticate=no_device)
    assert platform_of(again, tmp_path / "hub").documents.get("rule", "hot") == made
    asyncio.run(again.close())


def test_a_hub_whose_documents_cannot_be_opened_gives_its_folder_back(tmp_path: Path) -> None:
    database = tmp_path / "application.db"
    database.write_bytes(b"something else " * 1000)
    for _ in range(2):  # not "in use" the second time
        hub = Hub(tmp_path, authenticate=no_device)
        with pytest.raises(DataFolderError, match="not a database"):
            platform_of(hub, tmp_path)
        asyncio.run(hub.close())
    database.unlink()
    asyncio.run(Hub(tmp_path, authenticate=no_device).close())
