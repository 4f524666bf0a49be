# SPDX-License-Identifier: Apache-2.0
"""`armillary device boot --machine … --service-link`: the machine gets the link, a person is told where it leads."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.armillary_processes import armillary_here
from tests.fixtures.machine_files import files_of
from typer.testing import CliRunner

from armillary.cli.device import boot
from armillary.cli.device_image import machine
from armillary.device_image import tools
from armillary.device_image.service_link.link import found_link
from armillary.device_image.virtual_machine import MachineSettings
from armillary.wire.device_image import service_link


class Said:
    """A machine that says these lines and is off then; ``attached`` are QEMU's words that it was given."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self._folder = folder
        self._lines = lines
        self.attached: tuple[str, ...] = ()
        self.found: list[Any] = []

    @contextlib.contextmanager
    def running(self, settings: MachineSettings) -> Iterator[Said]:
        self.attached = settings.attached
        yield self

    def lines_to_its_end(self) -> Iterator[str]:
        for line in self._lines:
            yield line
            self.found.append(found_link(self._folder))

    def ended_with(self) -> int:
        return 0


def booted(monkeypatch: pytest.MonkeyPatch, said: Said, folder: Path, *more: str) -> list[str]:
    monkeypatch.setattr(machine, "running", said.running)
    monkeypatch.setattr(tools, "require", lambda *_: None)
    image = files_of(folder.with_name(f"{folder.name}-image"), "x86_64")
    words = ["boot", "--data", str(folder), "--machine", "x86_64", "--image", str(image), "--json", *more]
    ended = CliRunner().invoke(boot.app, words)
    assert ended.exit_code == 0, ended.output
    return [json.loads(line)["line"] for line in ended.stdout.splitlines()]


def test_the_certificates_line_becomes_where_the_link_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said(tmp_path, "armillary: ready", f"armillary: {service_link.line_of(b'certificate')}")
    ready, link = booted(monkeypatch, said, tmp_path, "--service-link")
    assert ready == "armillary: ready"
    assert said.found[0] is None, "it has said nothing yet"
    url, certificate = said.found[1]
    assert link == f"service link: {url}, certificate {certificate}"
    assert any(service_link.CARD in word for word in said.attached)
    assert found_link(tmp_path) is None, "it is off"


def test_without_the_option_there_is_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"armillary: {service_link.line_of(b'certificate')}"
    said = Said(tmp_path, line)
    assert booted(monkeypatch, said, tmp_path) == [line]
    assert (said.attached, said.found) == ((), [None])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["imx8mp", "armhf"])
def test_a_machine_that_cannot_be_handed_the_secret_gets_no_link(tmp_path: Path, name: str) -> None:
    data = tmp_path / "machine"
    done = armillary_here("device", "boot", "--data", str(data), "--machine", name, "--service-link", env={})
    assert done.returncode != 0
    assert f"--service-link: expected a machine that its host can hand a secret, {name} is none" in done.stderr
    assert not data.exists()
