# SPDX-License-Identifier: Apache-2.0
"""Two requests at once to debug one application: one is told its ports, the other that it came second."""

from __future__ import annotations

import asyncio
import shutil
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.device.debugging.test_sessions import Run, connected, sessions

from armillary.device.rest import loading_calls
from armillary.device.state.request_refused import RequestRefusedError
from armillary.update.install.transaction import InstallState
from armillary.wire.device import azure_error

pytestmark = pytest.mark.anyio


async def test_one_is_told_its_ports_and_the_other_that_it_came_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    found, run = sessions(), cast("Any", Run())
    run.is_debugged, run.running = True, None
    monkeypatch.setattr(loading_calls, "present", lambda _: run)

    async def halt(_: object) -> None:
        run.running = None

    def resume(_: object, *, debugged: bool) -> None:
        asyncio.get_running_loop().call_later(0, setattr, run, "running", SimpleNamespace(pid=1, debugged=debugged))

    supervisor = SimpleNamespace(halt=halt, resume=resume)
    device = SimpleNamespace(
        debugging=found,
        running=SimpleNamespace(supervisor=supervisor, changes=asyncio.Lock()),
        installer=SimpleNamespace(state=InstallState.IDLE),
    )
    call = cast("Any", SimpleNamespace(device=device, word=lambda *_: loading_calls.DEBUG))
    one, other = await asyncio.gather(loading_calls.control(call), loading_calls.control(call), return_exceptions=True)
    assert isinstance(other, RequestRefusedError), other
    assert other.number == azure_error.BUSY
    assert "already being started for a debugger" in other.message
    assert isinstance(one, dict)
    assert (one["state"], connected(one["gdbPort"])) == ("debugging", True)
    again = await loading_calls.control(call)  # who asks later begins anew
    assert isinstance(again, dict)
    assert not connected(one["gdbPort"])
    await found.close()
