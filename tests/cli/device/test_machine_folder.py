# SPDX-License-Identifier: Apache-2.0
"""A machine's folder leads commands to its service link, or they say how it gets one; a machine is no process."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.fixtures.certificates import self_signed

from armillary.cli.main import needed
from armillary.device_image.service_link.link import service_link
from armillary.device_image.virtual_machine import DISK
from armillary.errors import ArmillaryError, NotFoundError, ServiceUnreachableError
from armillary.wire.device_image import service_link as wire


def refused(machine: Path) -> ArmillaryError:
    """What a command that asks the machine of a folder ends with."""
    words = ("image", "list-installed")
    found = CliRunner().invoke(needed("device", words), [*words, "--data", str(machine)], prog_name="armillary device")
    assert isinstance(found.exception, ArmillaryError), found.output
    return found.exception


def test_it_is_asked_by_its_link_as_soon_as_it_serves_its_api(tmp_path: Path) -> None:
    (tmp_path / DISK).write_bytes(b"")
    with service_link(tmp_path) as link:
        assert isinstance(refused(tmp_path), NotFoundError)
        link.hear(f"armillary: {wire.line_of(ssl.PEM_cert_to_DER_cert(self_signed(tmp_path, 'a device')[1]))}")
        error = refused(tmp_path)
    assert isinstance(error, ServiceUnreachableError), "no machine is behind this link"
    assert link.url in error.message


def test_one_without_a_link_is_told_of_it(tmp_path: Path) -> None:
    (tmp_path / DISK).write_bytes(b"")
    error = refused(tmp_path)
    assert f"{tmp_path}: this machine serves no API now" in error.message
    assert "--service-link" in error.remedy


@pytest.mark.parametrize(
    "words",
    [
        ("--rest", "127.0.0.1:0"),
        ("--mirror", "https://mirror.example"),
        ("--modem-port", "/dev/ttyUSB2"),
        ("--listen", "127.0.0.1"),
        ("--peripheral", "Uart:UART1=/dev/ttyS1"),
        ("--private-network", "eth1"),
        ("--trial", "3"),
    ],
)
def test_an_option_that_a_machine_does_not_hear_of_is_refused(words: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "machine"
    arguments = ["--data", str(folder), "--machine", "x86_64", *words]
    found = CliRunner().invoke(needed("device", ["boot"]), ["boot", *arguments], prog_name="armillary device")
    assert found.exit_code == 2
    assert f"{words[0]} is for a device that is a process" in found.output
    assert not folder.exists()
