# SPDX-License-Identifier: Apache-2.0
"""What a TPM keeps of one device is of no other one, and no file of the disk changes it."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.engines.swtpm import SwTpm, needs_tpm

from armillary.engines.root_of_trust import tpm2, tpm_commands
from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust
from armillary.engines.root_of_trust.tpm_memory import COUNTER_BYTES, FIRST_INDEX, INDICES, bytes_of, owner_of, trust_of
from armillary.errors import RootOfTrustError


@needs_tpm
def test_whom_a_device_trusts_outlives_an_old_copy_of_the_disk(root: Tpm2RootOfTrust, tmp_path: Path) -> None:
    copy = (tmp_path / "root" / "tpm.json").read_bytes()
    assert root.trust.load() == b""
    root.trust.store(b"a" * 64)
    root.trust.store(b"b" * 64)
    root.begin_boot([])
    (tmp_path / "root" / "tpm.json").write_bytes(copy)
    assert Tpm2RootOfTrust.open(tmp_path / "root").trust.load() == b"b" * 64


@needs_tpm
def test_a_new_device_has_nothing_of_whom_another_one_trusted(
    root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path
) -> None:
    """Whose counter was deleted by hand, as the error of a TPM that is full says to do."""
    root.trust.store(b"a" * 64)
    with tpm_commands.connect(tpm.tcti) as commands:
        commands.nv.remove(root._file.counter)
    other = Tpm2RootOfTrust.create(tmp_path / "other", tpm=tpm.tcti)
    assert other._file.counter == root._file.counter
    assert other.trust.load() == b""


@needs_tpm
def test_no_file_leads_a_device_to_what_the_tpm_keeps_of_another_one(
    root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path
) -> None:
    """A machine that was enrolled twice has an older device's counter and minimums in its TPM, too."""
    root.keep_minimums({1: 1})
    newer = Tpm2RootOfTrust.create(tmp_path / "newer", tpm=tpm.tcti)
    newer.keep_minimums({1: 3})
    path = tmp_path / "newer" / "tpm.json"
    whole = path.read_text()
    assert Tpm2RootOfTrust.open(tmp_path / "newer").minimums() == {1: 3}  # the control
    path.write_text(json.dumps({**json.loads(whole), "counter": root._file.counter}))
    with pytest.raises(RootOfTrustError, match="expected this device's boot counter, got that of another device"):
        Tpm2RootOfTrust.open(tmp_path / "newer")
    path.write_text(whole)
    assert Tpm2RootOfTrust.open(tmp_path / "newer").minimums() == {1: 3}


@needs_tpm
def test_whom_a_device_trusts_is_found_by_the_file_that_was_checked(
    root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path
) -> None:
    """A disk that gives the device's own file first, and then one that leads to another device of the same TPM."""
    root.trust.store(b"a" * 64)
    older = Tpm2RootOfTrust.create(tmp_path / "older", tpm=tpm.tcti)
    again = Tpm2RootOfTrust.open(tmp_path / "root")
    path = tmp_path / "root" / "tpm.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "counter": older._file.counter}))
    assert again.trust.load() == b"a" * 64
    again.trust.store(b"b" * 64)
    assert older.trust.load() == b""


def without_owner(root: Tpm2RootOfTrust) -> None:
    """Make the counter one of before owners were noted."""
    with tpm_commands.connect(root._file.tcti) as commands:
        commands.nv.remove(root._file.counter)
        assert commands.nv.define_counter(b"") == root._file.counter


def leads_to(root: Tpm2RootOfTrust, index: int, folder: Path) -> Path:
    """A folder whose file names the device's keys, and an index as its counter."""
    folder.mkdir()
    path = folder / "tpm.json"
    path.touch(mode=0o600)
    path.write_bytes(tpm2._encode_file(replace(root._file, counter=index)))
    return folder


@needs_tpm
def test_a_counter_of_before_owners_were_noted_is_taken(root: Tpm2RootOfTrust, tmp_path: Path) -> None:
    without_owner(root)
    for _ in range(2):
        assert Tpm2RootOfTrust.open(tmp_path / "root").device_id == root.device_id


@needs_tpm
def test_a_counter_of_before_owners_were_noted_is_that_of_who_opened_it_first(
    root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path
) -> None:
    """Several devices of before in one TPM: each has its own, and none is led to that of another one."""
    older, newer = (Tpm2RootOfTrust.create(tmp_path / name, tpm=tpm.tcti) for name in ("older", "newer"))
    for one in (root, older):
        without_owner(one)
    with pytest.raises(RootOfTrustError, match="that of another device"):  # whose own counter says that it is its
        Tpm2RootOfTrust.open(leads_to(newer, older._file.counter, tmp_path / "newer-to-older"))
    Tpm2RootOfTrust.open(tmp_path / "root")
    with pytest.raises(RootOfTrustError, match="that of another device"):  # which has noted its own
        Tpm2RootOfTrust.open(leads_to(root, older._file.counter, tmp_path / "root-to-older"))
    Tpm2RootOfTrust.open(tmp_path / "older")
    for one, other in ((root, older), (older, root), (newer, root)):
        with pytest.raises(RootOfTrustError, match="that of another device"):
            Tpm2RootOfTrust.open(leads_to(one, other._file.counter, tmp_path / f"{one.device_id[:8]}-to-noted"))
    for name in ("root", "older", "newer"):
        Tpm2RootOfTrust.open(tmp_path / name)


@needs_tpm
def test_an_owner_that_a_power_cut_left_unwritten_is_noted_at_the_next_start(
    root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path
) -> None:
    without_owner(root)
    with tpm_commands.connect(tpm.tcti) as commands:
        commands.nv.define_bytes(owner_of(root._file.counter), 32)
    Tpm2RootOfTrust.open(tmp_path / "root")
    with tpm_commands.connect(tpm.tcti) as commands:
        assert commands.nv.owner(root._file.counter) == sha256(root._file.identity.public).digest()


@needs_tpm
def test_what_stands_where_a_counter_may_and_counts_nothing_is_no_counter(
    root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path
) -> None:
    """Nor for keys that have none, to whom one without an owner would be given."""
    root.give_up()
    with tpm_commands.connect(tpm.tcti) as commands:
        free = next(index for index in range(FIRST_INDEX, FIRST_INDEX + INDICES) if not commands.nv.exists(index))
        commands.nv.define_bytes(free, COUNTER_BYTES)
        commands.nv.store(free, bytes(COUNTER_BYTES))
    with pytest.raises(RootOfTrustError, match="an index that is none"):
        Tpm2RootOfTrust.open(leads_to(root, free, tmp_path / "bytes"))


@needs_tpm
@pytest.mark.parametrize("kept", ["nothing", "a start", "minimums", "trust"])
def test_only_who_never_started_is_given_up(root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path, kept: str) -> None:
    if kept == "a start":
        root.begin_boot([])
    elif kept == "minimums":
        root.keep_minimums({1: 3})
    elif kept == "trust":
        root.trust.store(b"a" * 64)
    counter = root._file.counter
    with tpm_commands.connect(tpm.tcti) as commands:
        before = [commands.nv.exists(index) for index in (counter, bytes_of(counter), trust_of(counter))]
    root.give_up()
    with tpm_commands.connect(tpm.tcti) as commands:
        after = [commands.nv.exists(index) for index in (counter, bytes_of(counter), trust_of(counter))]
    assert after == ([False, False, False] if kept == "nothing" else before)
