# SPDX-License-Identifier: Apache-2.0
"""A machine at its service link, as the tools of its host see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.attached_device import PublicClient, client_at
from tests.device_image.booted.at_service import CATALOG, AtService, done
from tests.device_image.booted.conftest import BOOT_S
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image.service_link.link import ServiceLink, found_link
from armillary.device_image.virtual_machine import VirtualMachine

UP = "service link: https://"


def heard(machine: VirtualMachine, link: ServiceLink, *wanted: str, within_s: float = BOOT_S) -> list[str]:
    """All lines until each of these texts has come, in any order; the link hears them."""
    seen: list[str] = []
    missing = set(wanted)
    for line in machine.lines(within_s=within_s):
        seen.append(link.hear(line) or line)
        print(seen[-1], flush=True)  # pytest shows it where the test fails
        missing = {each for each in missing if each not in seen[-1]}
        if not missing:
            return seen
    pytest.fail(f"{missing} did not come")


def client_of(scene: AtService, folder: Path) -> PublicClient:
    """Azure Sphere's public client for the machine, which is up."""
    found = found_link(scene.settings.folder)
    assert found is not None
    return client_at(folder, {"url": found[0], "ca": str(found[1]), "list": None})


def asked(scene: AtService, *words: str) -> Any:
    """What a command of ours says of the machine, which it finds by the machine's folder."""
    where = ("--data", str(scene.settings.folder), "--json")
    return json.loads(done(armillary_here("device", *words, *where, env=scene.env)))


def open_for_tools(scene: AtService, folder: Path) -> None:
    """Put a capability file of the machine's service in force: for 30 days its API answers."""
    (device,) = json.loads(done(armillary_here("device", "list", "--json", env=scene.env)))
    file = folder / "capability"
    words = ("--device", device["device_id"], "--catalog", CATALOG, "--type", "FieldServicing")
    done(armillary_here("device", "capability", "download", *words, "--output-file", str(file), env=scene.env))
    assert asked(scene, "capability", "apply", "--file", str(file))["device_capabilities"] != []
