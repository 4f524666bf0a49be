# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a folder, an option or a device that does not answer is one clear error, and never a traceback."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.device.state.test_certificate_store import certificate

from armillary.cli.device.attached import asking
from armillary.cli.device.attached.asking import AskedDevice
from armillary.cli.main import needed
from armillary.device.boot import provision
from armillary.device.rest.settings import rest_settings
from armillary.device.state.layout import DeviceFolder
from armillary.errors import DataFolderError, InvalidArgumentError, ServiceUnreachableError


def test_a_device_is_made_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(provision, "_root_of_trust", full)
    with pytest.raises(DataFolderError, match=r"cannot be written \(No space left on device\)") as refused:
        provision.provision(
            DeviceFolder(tmp_path / "e"),
            chip="mt3620",
            root_of_trust="software",
            sandbox="process",
            operator_api="https://localhost",
            factory=full,
        )
    assert str(tmp_path / "e") in refused.value.message
    assert "free space" in refused.value.remedy


@pytest.mark.parametrize("damaged", [b"", b'{"state": ', b"\xff\xfe", b"[]"])
def test_a_damaged_status_is_named(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "layout.json").write_text('{"layout": 1}')
    (tmp_path / "status.json").write_bytes(damaged)
    found = CliRunner().invoke(needed("device", ["status"]), ["status", "--data", str(tmp_path)])
    assert isinstance(found.exception, DataFolderError)
    assert "status.json: the status cannot be read" in found.exception.message


def test_a_device_that_does_not_answer_is_given_up_after_a_named_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "CONNECT_S", 0.2)
    (tmp_path / "ca.pem").write_text(certificate())
    with socket.create_server(("127.0.0.1", 0)) as stopped:  # the kernel takes the connection, nobody answers
        device = AskedDevice(f"https://127.0.0.1:{stopped.getsockname()[1]}", tmp_path / "ca.pem")
        with pytest.raises(ServiceUnreachableError, match=r"the device has not answered within 0 s"):
            device.get("status")


@pytest.mark.parametrize("seconds", ["nan", "inf"])
def test_a_trial_is_a_number_of_seconds(tmp_path: Path, seconds: str) -> None:
    words = ["boot", "--data", str(tmp_path), "--trial", seconds]
    found = CliRunner().invoke(needed("device", words), words)
    assert found.exit_code == 2
    assert f"--trial: expected seconds, got {seconds}" in found.output


def test_an_interface_that_the_host_has_not_is_refused() -> None:
    found = rest_settings("127.0.0.1:0", interfaces=["lo"])
    assert found is not None
    assert found.interfaces == ("lo",)
    with pytest.raises(InvalidArgumentError, match="expected an interface of this host, got 'nope'") as refused:
        rest_settings("127.0.0.1:0", interfaces=["lo", "nope"])
    assert "lo" in refused.value.remedy
