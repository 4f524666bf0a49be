# SPDX-License-Identifier: Apache-2.0
"""Trusted metadata in flash: whole or not at all, and a cut at any operation leaves a device that goes on."""

from __future__ import annotations

import asyncio

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.fixtures.effort import effort
from tests.fixtures.tuf_repository import NOW, MemoryFetcher, TufRepository
from tuf.api.metadata import Metadata

from armillary.device.state.metadata_store import FlashMetadata
from armillary.engines.flash.port import check_region_name
from armillary.update.repository.client import refresh


def test_each_role_has_a_region_of_its_own():
    flash = CutFlash()
    store = FlashMetadata(flash)
    roles = [
        "root",
        "timestamp",
        "catalog-0b7cf0f2-2a1e-4a4a-9f5e-1d2c3b4a5f60",
        "A",
        "?",
        "../root",
        "/etc/passwd",
        "x" * 400,
    ]
    roles += ["hashed-x", "root.json", "Root", ""]
    for role in roles:
        assert store.read(role) is None
        store.keep(role, role.encode())
    assert [store.read(role) for role in roles] == [role.encode() for role in roles]
    assert len(flash.durable) == len(roles)
    for region in flash.durable:
        assert check_region_name(region).startswith("repository/")
    assert "repository/timestamp.json" in flash.durable
    store.forget("timestamp")
    store.forget("timestamp")
    assert store.read("timestamp") is None


def test_a_cut_at_every_operation_of_a_refresh_leaves_old_or_new_metadata_and_converges():
    """Roots are followed, keys are rotated, everything changes: the busiest refresh there is."""
    repository = TufRepository()
    first = CutFlash({"repository/root.json": repository.first_root})
    fetcher = MemoryFetcher(repository.files)
    asyncio.run(refresh(fetcher, FlashMetadata(first), now=NOW))
    published = set(repository.files.values())
    repository.publish("root")
    repository.keys("timestamp", [40])
    repository.keys("snapshot", [41])
    repository.publish("root", "targets")
    published |= set(repository.files.values())
    whole = CutFlash(first.durable)
    asyncio.run(refresh(fetcher, FlashMetadata(whole), now=NOW))
    assert whole.operations > 20
    for cut_at in range(1, whole.operations + 1):
        for seed in range(effort(4, 40)):
            flash = CutFlash(first.durable, cut_at=cut_at, seed=seed)
            with pytest.raises(PowerCutError):
                asyncio.run(refresh(fetcher, FlashMetadata(flash), now=NOW))
            kept = {name: data for name, data in flash.durable.items() if not name.endswith(".new")}
            assert set(kept.values()) <= published
            after = CutFlash(flash.durable)
            asyncio.run(refresh(fetcher, FlashMetadata(after), now=NOW))
            settled = {name: data for name, data in after.durable.items() if not name.endswith(".new")}
            assert settled == whole.durable


def test_a_cut_between_a_root_and_what_its_rotation_forgets_cannot_keep_a_fast_forward():
    """Whatever a thief announced goes before the root that takes its keys away is kept."""
    repository = TufRepository()
    repository.keys("timestamp", [1, 42])  # the old timestamp would still verify by the key that stays
    repository.publish("root")
    repository.timestamp.version = 10**6
    repository.publish("timestamp")
    fetcher = MemoryFetcher(repository.files)
    flash = CutFlash({"repository/root.json": repository.first_root})
    asyncio.run(refresh(fetcher, FlashMetadata(flash), now=NOW))
    repository.keys("timestamp", [42])
    repository.timestamp.version = 1
    repository.publish("root", "timestamp")
    whole = CutFlash(flash.durable)
    asyncio.run(refresh(fetcher, FlashMetadata(whole), now=NOW))
    for cut_at in range(1, whole.operations + 1):
        cut = CutFlash(flash.durable, cut_at=cut_at)
        with pytest.raises(PowerCutError):
            asyncio.run(refresh(fetcher, FlashMetadata(cut), now=NOW))
        after = CutFlash(cut.durable)
        asyncio.run(refresh(fetcher, FlashMetadata(after), now=NOW))
        assert Metadata.from_bytes(after.durable["repository/timestamp.json"]).signed.version == 2
