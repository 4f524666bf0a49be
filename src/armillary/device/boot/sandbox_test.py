# SPDX-License-Identifier: Apache-2.0
"""The sandbox's self-test, beside what else a start has to do: it waits for other processes most of the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from armillary.device.boot.image_kind import command_line, with_image_kind
from armillary.engines.sandbox.port import Sandbox, SandboxReport
from armillary.engines.sandbox.selection import open_sandbox

# How a start begins the test: with the sandbox that it was given, and the name of the one that it was made with.
BeginTest = Callable[[Sandbox | None, str], "asyncio.Future[tuple[Sandbox, SandboxReport]]"]


def begin_sandbox_test(sandbox: Sandbox | None, name: str) -> asyncio.Future[tuple[Sandbox, SandboxReport]]:
    """Begin the self-test of ``sandbox``, or of the engine of this name; what it saw comes with the future.

    The future raises what ``selection.open_sandbox`` does. No application is started by it.
    """
    return asyncio.get_running_loop().run_in_executor(None, test_sandbox, sandbox, name)


def test_sandbox(sandbox: Sandbox | None, name: str) -> tuple[Sandbox, SandboxReport]:
    """Test it here and now, in the thread that calls; see :func:`begin_sandbox_test`."""
    tested = sandbox or open_sandbox(name)
    return tested, with_image_kind(tested.self_test(), command_line())
