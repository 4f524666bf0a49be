# SPDX-License-Identifier: Apache-2.0
"""`armillary device boot --machine … --modem`: what goes with it, and how QEMU is told of the modem."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from armillary.cli.device import boot
from armillary.cli.device_image.modem import running_with_modem, words
from armillary.device.machine.network import MODEM_CARD
from armillary.device_image.cores import attached
from armillary.device_image.virtual_machine import MachineSettings, running
from armillary.engines.modem.opening import VIRTUAL_PORT
from armillary.errors import InvalidArgumentError


def test_a_modem_goes_with_a_machine() -> None:
    ended = CliRunner().invoke(boot.app, ["boot", "--data", "d", "--modem"])
    assert ended.exit_code == 2
    assert "--modem go with" in ended.output


def test_a_machine_without_pci_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    settings = MachineSettings(folder=tmp_path / "machine", machine="imx8mp")
    refused = "imx8mp: expected a machine with PCI"
    with pytest.raises(InvalidArgumentError, match=refused), running_with_modem(settings):
        pytest.fail("it runs")
    with_core = replace(settings, attached=attached.words(tmp_path, 1))
    with pytest.raises(InvalidArgumentError, match=refused), running(with_core):
        pytest.fail("it runs")
    assert not list(tmp_path.iterdir())


def test_the_port_and_the_card_are_those_that_the_image_knows(tmp_path: Path) -> None:
    told = " ".join(words(tmp_path))
    assert f"name={VIRTUAL_PORT}" in told
    assert f"virtio-net-pci.mac={MODEM_CARD}" in told
