# SPDX-License-Identifier: Apache-2.0
"""The list of devices of version 2: a program that this host's kernel takes and runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from armillary.capability.application_limits import DEFAULT_LIMITS
from armillary.engines.sandbox.control_groups import device_program
from armillary.engines.sandbox.control_groups.groups import DeviceGroups, device_groups
from armillary.engines.sandbox.control_groups.hierarchies import Found, Hierarchy

NODES = ("null", "zero", "full", "random")


def opened(nodes: Sequence[str]) -> set[str]:
    """Which of some nodes a process opens in a group that may open ``nodes`` of them."""
    base = next((each.base for each in device_groups().found.hierarchies if each.version == 2), None)
    if base is None or not device_program.can_load():
        pytest.skip("this host has no version 2 of control groups whose kernel takes a program of ours: as root")
    groups = DeviceGroups(Found((Hierarchy(2, base, frozenset({"devices"})),)), "/bin/sh")
    group = groups.open("one", DEFAULT_LIMITS, [Path("/dev", node) for node in nodes])
    assert group is not None
    try:
        assert group.missing == {}
        code = (
            f"for node in {' '.join(NODES)}; do (: < /dev/$node) 2>&- && echo $node; done; mknod $0 c 1 3 && echo made"
        )
        command = [*group.entry, "/bin/sh", "-c", code, f"/dev/armillary-{os.getpid()}"]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    finally:
        group.end()
    return set(run.stdout.split())


@pytest.mark.parametrize("nodes", [("null",), ("null", "zero"), NODES, ("random", "null")])
def test_only_the_nodes_of_the_list_are_opened_and_none_is_made(nodes: tuple[str, ...]) -> None:
    assert opened(nodes) == set(nodes)


def test_a_list_of_nothing_lets_nothing_be_opened() -> None:
    assert opened(()) == set()


def test_a_program_is_whole_instructions_for_each_rule() -> None:
    sizes = [len(device_program.program(["c 1:3 rw"] * count)) // 8 for count in range(1, 4)]
    assert sizes == [sizes[0], sizes[0] + 4, sizes[0] + 8]
