# SPDX-License-Identifier: Apache-2.0
"""Data folder, clock, journal, certificate folder, configuration."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.fixtures.processes import killed_process

from armillary.device.checkin.daa import DeviceAuthentication
from armillary.device.state import journal as journals
from armillary.device.state.backoff import Backoff
from armillary.device.state.clock import DeviceClock
from armillary.device.state.configuration import DeviceConfiguration, load_configuration, store_configuration
from armillary.device.state.journal import Journal, read_journal
from armillary.device.state.layout import MACHINE_DISK, DeviceFolder, replace_file
from armillary.device.state.status import read_status, write_status
from armillary.engines import durable
from armillary.errors import DataFolderError, DataFolderInUseError
from armillary.wire.certificates import certificate

NOW = 1_800_000_000


# -- folder ------------------------------------------------------------------------------------------------------


def test_a_half_made_folder_is_no_device(tmp_path: Path) -> None:
    folder = DeviceFolder(tmp_path / "d")
    folder.create()
    with pytest.raises(DataFolderError, match="no device here"):
        folder.check()
    (folder.root / MACHINE_DISK).touch()
    with pytest.raises(DataFolderError, match="got a machine, whose device is on its disk") as caught:
        folder.check()
    assert "device boot --machine" in caught.value.remedy
    folder.finish_creation()
    folder.check()
    with pytest.raises(DataFolderError, match="already"):
        folder.create()


def test_a_device_is_marked_only_by_what_a_power_cut_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that is not synced has a name and no content after a cut: seen on the device image."""
    folder = DeviceFolder(tmp_path / "d")
    folder.create()
    with folder.hold():
        folder.begin_creation({"chip": "mt3620"})
    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", refused)
        with pytest.raises(DataFolderError):
            folder.finish_creation()
    assert not folder.is_finished()
    folder.create()  # it is continued
    with folder.hold():
        assert folder.begin_creation({"chip": "mt3620"})
        folder.finish_creation()
    folder.check()


def refused(_descriptor: int) -> None:
    raise OSError(5, "Input/output error")


def test_a_creation_that_was_killed_in_its_first_write_begins_again(tmp_path: Path) -> None:
    folder = DeviceFolder(tmp_path / "d")
    folder.create()
    (folder.root / "creation.json.7.partial").write_bytes(b"")
    folder.create()
    with folder.hold():
        assert not folder.begin_creation({"chip": "mt3620"})


def test_a_folder_named_from_here_stays_the_same_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = DeviceFolder(Path("my-device"))
    monkeypatch.chdir("/")
    assert folder.run == tmp_path / "my-device" / "run"


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(DataFolderError, match="empty folder"):
        DeviceFolder(tmp_path).create()


def test_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text('{"layout": 2}')
    with pytest.raises(DataFolderError, match="expected layout 1, got 2"):
        DeviceFolder(tmp_path).check()


HOLD = """
import sys, time
from pathlib import Path
from armillary.device.state.layout import MACHINE_DISK, DeviceFolder
with DeviceFolder(Path(sys.argv[1])).hold():
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_goes_with_its_process_however_it_ends(tmp_path: Path) -> None:
    folder = DeviceFolder(tmp_path)
    with killed_process([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.readline() == "held\n"
            assert folder.holder() == process.pid
            with pytest.raises(DataFolderInUseError, match=str(process.pid)), folder.hold():
                pass
        finally:
            process.kill()
    assert folder.holder() is None
    with folder.hold():
        assert folder.holder() == os.getpid()


def test_replaced_files_are_never_half(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_status(path, {"state": "running"})
    assert read_status(path)["status_version"] == 1
    replace_file(path, b"{}", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]
    assert read_status(tmp_path / "none.json") is None


# -- clock -------------------------------------------------------------------------------------------------------


def test_time_follows_the_service_and_never_the_host_afterwards() -> None:
    steady, wall = [100.0], [0.0]
    clock = DeviceClock(CutFlash(), monotonic=lambda: steady[0], wall=lambda: wall[0])
    assert (clock.now(), clock.signed) == (0, False)
    clock.set_from_service(NOW)
    steady[0], wall[0] = 160.0, 4e9
    assert (clock.now(), clock.signed) == (NOW + 60, True)


def test_a_host_set_back_to_1970_is_not_believed() -> None:
    flash = CutFlash()
    DeviceClock(flash, monotonic=lambda: 0.0, wall=lambda: 0.0).set_from_service(NOW)
    assert DeviceClock(flash, monotonic=lambda: 0.0, wall=lambda: 0.0).now() == NOW


def test_a_service_that_goes_back_in_time_is_not_followed() -> None:
    clock = DeviceClock(CutFlash(), monotonic=lambda: 0.0, wall=lambda: 0.0)
    clock.set_from_service(NOW)
    clock.set_from_service(NOW - 10)
    assert clock.now() == NOW


def test_time_is_stored_at_most_hourly() -> None:
    flash = CutFlash()
    clock = DeviceClock(flash, monotonic=lambda: 0.0, wall=lambda: 0.0)
    clock.set_from_service(NOW)
    before = flash.operations
    clock.set_from_service(NOW + 3599)
    assert flash.operations == before
    clock.set_from_service(NOW + 3600)
    assert flash.operations > before


# -- journal -----------------------------------------------------------------------------------------------------


def test_the_log_is_bounded_and_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MAX_FILE_BYTES", 2000)
    heard: list[object] = []
    log = Journal(tmp_path, lambda: NOW)
    log.listen(lambda entry: heard.append(entry["number"]))
    for number in range(200):
        log.write("output", number=number, text="x" * 50)
    assert heard == list(range(200))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 4000
    kept = [entry["number"] for entry in read_journal(tmp_path)]
    assert kept == list(range(200 - len(kept), 200))
    assert len(kept) > 10


def test_half_a_character_is_a_question_mark_in_the_log_and_a_log_that_cannot_be_kept_is_heard(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log", lambda: 1)
    journal.write("odd", reason="\ud800 \udcff")
    assert [each["reason"] for each in journal.entries()] == ["? ?"]
    (tmp_path / "file").touch()
    heard: list[object] = []
    without = Journal(tmp_path / "file" / "log", lambda: 1)
    without.listen(heard.append)
    without.write("heard")
    assert (len(heard), list(without.entries())) == (1, [])


def test_long_text_is_shortened_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    log = Journal(tmp_path, lambda: NOW)
    log.write("output", text="x" * 5000, image_id=uuid.UUID(int=1))
    with (tmp_path / "device.jsonl").open("ab") as file:
        file.write(b'{"at": 1, "event"')
    [entry] = read_journal(tmp_path)
    assert len(entry["text"]) == journals.MAX_TEXT_CHARACTERS + 1
    assert entry["image_id"] == str(uuid.UUID(int=1))


# -- certificate for applications --------------------------------------------------------------------------------


@pytest.fixture
def issued() -> Any:
    ca = ec.generate_private_key(ec.SECP256R1())
    authority = certificate.build_root_authority(ca, name="T", serial=1, not_before=0, not_after=2**31)

    def issue() -> tuple[list[bytes], ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        device = ec.generate_private_key(ec.SECP256R1())
        leaf = certificate.build_device_certificate(
            authority,
            ca,
            spki=key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            device_id=certificate.cose.point_of(device.public_key()).hex(),
            purpose="client",
            tier="software",
            serial=2,
            not_before=NOW,
            not_after=NOW + 86400,
        )
        return [leaf.public_bytes(serialization.Encoding.DER)], key

    return issue


def _pair_matches(folder: Path) -> bool:
    leaf = load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    return leaf.public_key() == key.public_key()


def test_certificate_and_key_change_together(tmp_path: Path, issued: Any) -> None:
    daa = DeviceAuthentication(tmp_path / "daa")
    assert (daa.ready, daa.expires()) == (False, None)
    for _ in range(3):
        chain, key = issued()
        daa.store(chain, key, service_root=b"root", log_head=b"\x01" * 32)
        assert daa.ready
        assert daa.expires() == NOW + 86400
        assert _pair_matches(daa.folder)
        assert len(list(daa.folder.glob("generation-*"))) == 1
    assert (daa.folder / "ca.pem").read_bytes() == b"root"
    assert stat.S_IMODE((daa.folder / "key.pem").stat().st_mode) & 0o007 == 0, "no other user can read the key"


def test_interrupted_anywhere_the_pair_still_matches(
    tmp_path: Path, issued: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daa = DeviceAuthentication(tmp_path / "daa")
    chain, key = issued()
    daa.store(chain, key, service_root=b"root", log_head=b"\x01" * 32)
    calls = {"left": 0}

    def counted(name: str) -> Any:
        real = getattr(Path, name)

        def step(self: Path, *arguments: Any, **options: Any) -> Any:
            calls["left"] -= 1
            if calls["left"] == 0:
                raise KeyboardInterrupt
            return real(self, *arguments, **options)

        return step

    for name in ("replace", "symlink_to", "unlink", "mkdir"):
        monkeypatch.setattr(Path, name, counted(name))
    interrupted = 0
    for step in range(1, 40):
        chain, key = issued()
        calls["left"] = step
        try:
            daa.store(chain, key, service_root=b"root", log_head=b"\x01" * 32)
        except KeyboardInterrupt:
            interrupted += 1
        calls["left"] = 0
        assert _pair_matches(daa.folder)
        assert DeviceAuthentication(tmp_path / "daa").ready
    assert interrupted > 5


def test_another_boot_finds_no_certificate(tmp_path: Path, issued: Any) -> None:
    daa = DeviceAuthentication(tmp_path / "daa")
    chain, key = issued()
    daa.store(chain, key, service_root=b"root", log_head=b"\x01" * 32)
    daa.keep_only_for(b"\x01" * 32)
    assert daa.ready
    daa.keep_only_for(b"\x02" * 32)
    assert not daa.ready
    assert list(daa.folder.glob("generation-*")) == []
    daa.withdraw()


# -- configuration -----------------------------------------------------------------------------------------------

CONFIGURATION = DeviceConfiguration(
    device_id="ab" * 64,
    chip="mt3620",
    root_of_trust="software",
    sandbox="process",
    os_version="26.11",
    identity_certificate=("a", "b"),
    service_root="c",
    trusted_os_certificates=("d",),
    trusted_image_certificates=("e",),
    device_endpoint="https://localhost:1",
    service_name="s",
    operator_api="https://localhost:2",
)


def test_configuration_is_read_back() -> None:
    flash = CutFlash()
    with pytest.raises(DataFolderError, match="never finished"):
        load_configuration(flash)
    store_configuration(flash, CONFIGURATION)
    assert load_configuration(flash) == CONFIGURATION


def test_configuration_survives_a_power_cut_while_it_is_replaced() -> None:
    flash = CutFlash()
    store_configuration(flash, CONFIGURATION)
    newer = dataclasses.replace(CONFIGURATION, os_version="26.12")
    for cut_at in range(1, 4):
        for seed in range(5):
            cut = CutFlash(flash.durable, cut_at=cut_at, seed=seed)
            with pytest.raises(PowerCutError):
                store_configuration(cut, newer)
            assert load_configuration(CutFlash(cut.durable)) in (CONFIGURATION, newer)


# -- back-off ----------------------------------------------------------------------------------------------------


def test_backoff_doubles_to_its_limit_and_starts_over() -> None:
    backoff = Backoff(1.0, 60.0)
    assert [backoff.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.succeeded()
    assert backoff.failed() == 1
    for _ in range(5000):
        backoff.failed()
    assert backoff.failed() == 60


def test_jitter_stays_within_the_wait() -> None:
    for value in (0.0, 0.5, 0.999):
        backoff = Backoff(2.0, 300.0, lambda value=value: value)
        waits = [backoff.failed() for _ in range(12)]
        assert all(1.0 <= wait <= 300.0 for wait in waits)


def test_a_creation_that_was_cut_short_is_continued_with_its_options_only(tmp_path: Path) -> None:
    folder = DeviceFolder(tmp_path / "device")
    folder.create()
    with folder.hold():
        assert not folder.begin_creation({"chip": "mt3620"})
    (folder.root / ".layout.json.7.new").write_bytes(b"")  # killed while it wrote the mark
    folder.create()
    with folder.hold():
        assert folder.begin_creation({"chip": "mt3620"})
        with pytest.raises(DataFolderError, match="mt3620"):
            folder.begin_creation({"chip": "imx8mp"})
        folder.finish_creation()
    assert sorted(one.name for one in folder.root.iterdir() if not one.name.startswith(".")) == ["layout.json", "lock"]
    with pytest.raises(DataFolderError, match="lives here already"):
        folder.create()
