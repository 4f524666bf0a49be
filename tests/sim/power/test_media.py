# SPDX-License-Identifier: Apache-2.0
"""The model of flash media: its geometries, that it keeps the flash port's contract, and what a cut leaves on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary import content
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import replace_region, store_region
from armillary.errors import DataFolderError, ManifestError
from armillary.sim.power import geometry
from armillary.sim.power.cut import left_by
from armillary.sim.power.flash import OPERATION_LIMIT, Kind, PowerFlash

GEOMETRIES = {name: geometry.parse(content.flash_document(name)) for name in content.flash_names()}
REGIONS = st.sampled_from(["boot/kernel", "device/state", "install/record.0"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), REGIONS, st.binary(max_size=3000)),
        st.tuples(st.just("sync"), REGIONS),
        st.tuples(st.just("replace"), REGIONS, st.binary(max_size=3000)),
        st.tuples(st.just("remove"), REGIONS),
    ),
    max_size=12,
)


def apply(flash: Any, step: tuple[Any, ...]) -> None:
    match step:
        case ("replace", region, data):
            replace_region(flash, region, data)
        case (name, *arguments):
            getattr(flash, name)(*arguments)


def left(flash: PowerFlash, number: int, medium: geometry.Geometry, seed: int = 1) -> list[Mapping[str, bytes]]:
    return left_by(flash.operations[number], medium, Random(seed), samples=4)  # noqa: S311 - reproducible


def test_the_shipped_geometries_differ_where_it_matters() -> None:
    assert {each.cached for each in GEOMETRIES.values()} == {True, False}
    assert len({each.sector_bytes for each in GEOMETRIES.values()}) >= 4
    assert any(each.atomic_bytes < each.sector_bytes for each in GEOMETRIES.values() if each.cached)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sector_bytes": 0}, "sector_bytes: expected a whole number from 1"),
        ({"atomic_bytes": 100}, "a divisor of sector_bytes"),
        ({"atomic_bytes": 1024}, "a whole number from 1 to 512"),
        ({"erase_block_bytes": 700}, "0 or a multiple of sector_bytes"),
        ({"erase_block_bytes": 4096}, "false for a medium that is erased"),
        ({"cached": 1}, "true or false"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"title": ""}, "1 to 1024 characters"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message.replace("(", r"\(")):
        geometry.parse({**content.flash_document("emmc"), **change})


@settings(max_examples=examples(100), deadline=None)
@given(name=st.sampled_from(sorted(GEOMETRIES)), steps=STEPS)
def test_a_device_reads_what_it_reads_of_files(name: str, steps: list[Any], tmp_path_factory: Any) -> None:
    simulated = PowerFlash(GEOMETRIES[name], {})
    files = FileFlash(Path(tmp_path_factory.mktemp("flash")) / "regions")
    for step in steps:
        if step[0] == "sync" and files.read(step[1]) is None:
            continue  # what was never written is not synced
        for flash in (simulated, files):
            apply(flash, step)
        assert simulated.regions("") == files.regions("")
        assert all(simulated.read(region) == files.read(region) for region in files.regions(""))


@settings(max_examples=examples(100), deadline=None)
@given(name=st.sampled_from(sorted(GEOMETRIES)), steps=STEPS, seed=st.integers(0, 99))
def test_a_cut_damages_only_what_was_not_synced(name: str, steps: list[Any], seed: int) -> None:
    """The port's contract: synced regions are whole, a replaced one has the old or the new bytes."""
    medium = GEOMETRIES[name]
    flash = PowerFlash(medium, {"kept": b"always here"})
    synced: dict[str, bytes] = {}  # of regions that were not written since
    for step in steps:
        before, began = dict(synced), len(flash.operations)
        if step[0] == "sync" and flash.read(step[1]) is None:
            continue
        apply(flash, step)
        if step[0] in ("write", "remove"):
            synced.pop(step[1], None)
            before.pop(step[1], None)
        else:
            synced[step[1]] = flash.read(step[1]) or b""
        for number in range(began, len(flash.operations)):
            for durable in left(flash, number, medium, seed):
                assert durable["kept"] == b"always here"
                for region, data in before.items():
                    assert durable[region] in (data, synced[region])


@pytest.mark.parametrize("name", sorted(GEOMETRIES))
def test_every_state_that_a_cut_may_leave_is_tried(name: str) -> None:
    """Old bytes, new ones, none, and mixtures: a reader has to expect them all."""
    medium = GEOMETRIES[name]
    old, new = b"o" * 3 * medium.sector_bytes, b"n" * 3 * medium.sector_bytes
    flash = PowerFlash(medium, {"device/state": old})
    flash.write("device/state", new)
    flash.sync("device/state")
    flash.end()
    found = [each["device/state"] for number in range(len(flash.operations)) for each in left(flash, number, medium)]
    assert {old, new} <= set(found)
    assert any(set(each) not in ({ord("o")}, {ord("n")}, set()) for each in found)
    assert (b"" in found) is medium.cached
    # Reordered: a later sector is there and an earlier one is not.
    late = [each for each in found if each[-1:] == b"n" and b"n" not in each[: medium.sector_bytes]]
    assert bool(late) is medium.cached


def test_a_sector_is_torn_no_finer_than_its_atomic_unit() -> None:
    medium = GEOMETRIES["emmc"]
    flash = PowerFlash(medium, {})
    flash.write("device/state", b"n" * 1200)
    for number in range(len(flash.operations)):
        for durable in left(flash, number, medium):
            data = durable.get("device/state", b"")
            for at in range(0, len(data), medium.atomic_bytes):
                assert len(set(data[at : at + medium.atomic_bytes])) == 1


def test_what_was_renamed_before_it_was_synced_can_be_lost() -> None:
    """The mistake that every file system punishes: the name is new, the bytes are not there."""
    medium = GEOMETRIES["emmc"]
    flash = PowerFlash(medium, {"device/state": b"old"})
    flash.write("device/state.new", b"new")
    flash.rename("device/state.new", "device/state")
    flash.end()
    assert b"" in [each["device/state"] for each in left(flash, -1, medium)]


def test_a_flaw_is_found_by_reading_back_and_mended_by_writing_again() -> None:
    for flaws, is_stored in (((1,), True), ((1, 4), False)):  # three sectors are two writes and a sync
        flash = PowerFlash(GEOMETRIES["emmc"], {}, flaws=flaws)
        if is_stored:
            store_region(flash, "device/state", bytes(1000))
            assert flash.medium.durable["device/state"] == bytes(1000)
        else:
            with pytest.raises(DataFolderError, match="does not give back"):
                store_region(flash, "device/state", bytes(1000))


def test_a_replaced_region_keeps_its_old_bytes_where_the_medium_fails() -> None:
    flash = PowerFlash(GEOMETRIES["spi-nor"], {"device/state": b"old"}, worn="device/state.new")
    with pytest.raises(DataFolderError, match=r"device/state\.new"):
        replace_region(flash, "device/state", b"new")
    assert flash.read("device/state") == b"old"


def test_a_device_that_never_comes_to_rest_is_stopped() -> None:
    flash = PowerFlash(GEOMETRIES["emmc"], {})
    for _ in range(OPERATION_LIMIT):
        flash.sync("device/state")
    with pytest.raises(DataFolderError, match="comes to rest"):
        flash.sync("device/state")


def test_operations_are_counted_as_the_medium_does_them() -> None:
    flash = PowerFlash(GEOMETRIES["spi-nor"], {})
    flash.write("boot/kernel", bytes(5000))
    kinds = [each.kind for each in flash.operations]
    assert kinds == [Kind.ERASE] * 2 + [Kind.PROGRAM] * 20
    assert str(flash.operations[3]) == "program of boot/kernel at byte 256"
