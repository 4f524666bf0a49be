# SPDX-License-Identifier: Apache-2.0
"""What the computer's side of a service link leaves in the machine's folder, and how QEMU is told of it."""

from __future__ import annotations

import re
import ssl
import stat
from pathlib import Path

import pytest
from tests.fixtures.certificates import self_signed
from typer.testing import CliRunner

from armillary.cli.device import boot
from armillary.device_image.service_link.link import LOCK, found_link, service_link
from armillary.device_image.virtual_machine import MachineSettings, running
from armillary.errors import DataFolderError, DataFolderInUseError, InvalidArgumentError
from armillary.wire.device_image import service_link as wire


def test_tools_find_the_api_while_the_machine_serves_it_and_not_after(tmp_path: Path) -> None:
    pem = self_signed(tmp_path, "a device")[1]
    line = f"armillary: {wire.line_of(ssl.PEM_cert_to_DER_cert(pem))}"
    with service_link(tmp_path / "machine") as link:
        assert found_link(tmp_path / "machine") is None, "it has said nothing yet"
        assert link.hear("armillary: ready after 8.2 s") is None
        assert link.hear("armillary: service link: certificate abc") is None, "garbled"
        assert link.hear(f"armillary: … output  name=x  text={wire.line_of(b'of an application')}") is None
        assert found_link(tmp_path / "machine") is None
        said = link.hear(line)
        found = found_link(tmp_path / "machine")
        assert found is not None
        assert (found[0], str(found[1]) in str(said)) == (link.url, True)
        assert ssl.PEM_cert_to_DER_cert(found[1].read_text()) == ssl.PEM_cert_to_DER_cert(pem)
    assert found_link(tmp_path / "machine") is None
    assert [each.name for each in (tmp_path / "machine").iterdir()] == [LOCK]


def test_the_secret_is_another_at_each_start_and_nobody_elses(tmp_path: Path) -> None:
    secrets = set()
    for _ in range(2):
        with service_link(tmp_path) as link:
            path = tmp_path / "service-link/secret"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            secrets.add(path.read_bytes())
            told = " ".join(link.words)
            assert f"name=opt/armillary/service-link,file={path}" in told, "no list of processes shows it"
    assert len(secrets) == 2
    assert {len(each) for each in secrets} == {wire.SECRET_BYTES}


def test_a_second_start_leaves_the_link_of_the_first(tmp_path: Path) -> None:
    with service_link(tmp_path) as link:
        before = {each.name: each.read_bytes() for each in (tmp_path / "service-link").iterdir()}
        with pytest.raises(DataFolderInUseError, match="runs already"), service_link(tmp_path):
            pytest.fail("it has the folder, too")
        assert {each.name: each.read_bytes() for each in (tmp_path / "service-link").iterdir()} == before
        assert link.hear(f"armillary: {wire.line_of(b'a certificate')}") is not None
    with service_link(tmp_path):
        pass


def test_what_a_start_that_was_killed_has_left_is_made_anew(tmp_path: Path) -> None:
    left = tmp_path / "service-link"
    left.mkdir()
    (left / "link.json").write_text('{"url": "https://127.0.0.1:1"}')
    (left / "secret").write_bytes(b"old")
    with service_link(tmp_path):
        assert found_link(tmp_path) is None
        assert (left / "secret").read_bytes() != b"old"


def test_a_folder_that_is_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("kept")
    (tmp_path / "service-link").symlink_to("elsewhere")
    with (
        pytest.raises(DataFolderError, match=r"service-link cannot be written \(it is a symbolic link\)"),
        service_link(tmp_path),
    ):
        pytest.fail("it follows a link")
    assert (tmp_path / "elsewhere" / "kept").read_text() == "kept"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match="file cannot be written"), service_link(tmp_path / "file"):
        pytest.fail("it is in a file")


def test_the_link_leads_to_the_machine_alone_and_nowhere_out(tmp_path: Path) -> None:
    with service_link(tmp_path) as link:
        told = " ".join(link.words)
    assert "restrict=on" in told
    assert "net=192.168.35.0/24,host=192.168.35.1" in told
    assert re.search(r"hostfwd=tcp:127\.0\.0\.1:[0-9]+-192\.168\.35\.2:443", told)
    assert told.count("hostfwd") == 1
    assert f"mac={wire.CARD}" in told


def test_a_machine_without_pci_is_refused(tmp_path: Path) -> None:
    with service_link(tmp_path / "link") as link:
        settings = MachineSettings(folder=tmp_path / "machine", machine="imx8mp", attached=link.words)
        with pytest.raises(InvalidArgumentError, match="imx8mp: expected a machine with PCI"), running(settings):
            pytest.fail("it runs")


def test_a_link_goes_with_a_machine() -> None:
    ended = CliRunner().invoke(boot.app, ["boot", "--data", "d", "--service-link"])
    assert ended.exit_code == 2
    assert "--service-link" in ended.output
