# SPDX-License-Identifier: Apache-2.0
"""The kernel's command line: it binds one root, and restarts where the kernel stops."""

from __future__ import annotations

import pytest

from armillary.errors import WireError
from armillary.wire.device_image.command_line import VerifiedRoot, command_line, root_of

ROOT = VerifiedRoot("a" * 64, "b" * 64, 8121)


def test_the_line_binds_the_root_and_restarts_where_the_kernel_stops() -> None:
    line = command_line(ROOT, consoles=("tty0", "ttyS0,115200"), built_at=1767225600)
    assert root_of(line) == ROOT
    words = line.split()
    assert words[:2] == ["console=tty0", "console=ttyS0,115200"]
    assert {"panic=1", "oops=panic", "armillary.built=1767225600"} <= set(words)
    assert {"sysctl.kernel.panic_on_rcu_stall=1", "sysctl.kernel.max_rcu_stall_to_panic=3"} <= set(words)


@pytest.mark.parametrize(
    "line",
    ["quiet", "armillary.root=aa:bb:1", f"{ROOT.word()} {ROOT.word()}", f"armillary.root={'a' * 64}:{'b' * 64}:0"],
)
def test_a_line_that_binds_no_root_or_two_is_refused(line: str) -> None:
    with pytest.raises(WireError, match=r"one armillary\.root="):
        root_of(line)
