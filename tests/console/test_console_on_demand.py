# SPDX-License-Identifier: Apache-2.0
"""The console is made at the first visit, once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from armillary.console import on_demand


def test_what_the_service_loads_has_no_console_in_it() -> None:
    code = "import sys, armillary.roles.serve; sys.exit('armillary.console.application' in sys.modules or 'jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_visitors_who_come_together_get_one_console(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    visits: list[Any] = []

    def create_console(*parts: Any, **named: Any) -> Any:
        made.append((parts, named))

        async def console(scope: Any, receive: Any, send: Any) -> None:
            visits.append((scope, receive, send))

        return console

    monkeypatch.setitem(sys.modules, on_demand._APPLICATION, SimpleNamespace(create_console=create_console))

    async def visit() -> None:
        console = on_demand.ConsoleOnDemand("service", "hub", closing="closing")
        assert made == []
        await asyncio.gather(*(console({"path": str(number)}, "receive", "send") for number in range(5)))  # type: ignore[arg-type]
        await console({"path": "later"}, "receive", "send")  # type: ignore[arg-type]

    asyncio.run(visit())
    assert made == [(("service", "hub"), {"closing": "closing"})]
    assert [scope["path"] for scope, _, _ in visits] == ["0", "1", "2", "3", "4", "later"]
