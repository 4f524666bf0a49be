# SPDX-License-Identifier: Apache-2.0
"""What a TPM keeps of one device is of no other one, and no file of the disk changes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.engines.swtpm import SwTpm, needs_tpm

from armillary.engines.root_of_trust import tpm_commands
from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust, open_trust
from armillary.errors import RootOfTrustError


@needs_tpm
def test_whom_a_device_trusts_outlives_an_old_copy_of_the_disk(root: Tpm2RootOfTrust, tmp_path: Path) -> None:
    copy = (tmp_path / "root" / "tpm.json").read_bytes()
    assert open_trust(tmp_path / "root").load() == b""
    open_trust(tmp_path / "root").store(b"a" * 64)
    open_trust(tmp_path / "root").store(b"b" * 64)
    root.begin_boot([])
    (tmp_path / "root" / "tpm.json").write_bytes(copy)
    assert open_trust(tmp_path / "root").load() == b"b" * 64


@needs_tpm
@pytest.mark.parametrize("how", ["given up", "gone with its disk"])
def test_a_new_device_has_nothing_of_whom_another_one_trusted(
    root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path, how: str
) -> None:
    open_trust(tmp_path / "root").store(b"a" * 64)
    if how == "given up":
        root.give_up()
    else:
        with tpm_commands.connect(tpm.tcti) as commands:
            commands.nv.remove(root._file.counter)
    other = Tpm2RootOfTrust.create(tmp_path / "other", tpm=tpm.tcti)
    assert other._file.counter == root._file.counter
    assert open_trust(tmp_path / "other").load() == b""


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
def test_a_counter_of_before_owners_were_noted_is_taken(root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path) -> None:
    with tpm_commands.connect(tpm.tcti) as commands:
        commands.nv.remove(root._file.counter)
        assert commands.nv.define_counter(b"") == root._file.counter
    assert Tpm2RootOfTrust.open(tmp_path / "root").device_id == root.device_id
