# SPDX-License-Identifier: Apache-2.0
"""Simulated machines that run beside a command of the command line, in a loop of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fixtures.loops import LoopThread

from armillary.sim.equipment.life import Life
from armillary.sim.equipment.machines import Server, serve_line, serve_tcp


@contextmanager
def running(life: Life, *, nameless: bool = False, line: bool = False) -> Iterator[dict[str, Any]]:
    """Where a machine is served, for a block."""
    loop = LoopThread("machine")
    server: Server
    if line:
        server, where = loop.call(lambda: serve_line(life, None, nameless=nameless))
    else:
        server, where = loop.run(serve_tcp(life, 0, nameless=nameless))
    try:
        yield where
    finally:
        loop.stop(server.close())
