# SPDX-License-Identifier: Apache-2.0
"""A guardian whose only way out is a cellular modem: what its equipment says arrives, also what it says meanwhile.

The device is in a network of its own. Of that only the interface of the modem leads on, while the **simulated** modem
has a session; there is no radio. Service and coffee machine are elsewhere: the machine at a wire of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.guardian_field import PERIOD_S, Field, deployed
from tests.fixtures.namespaces import Namespace, network_namespace
from tests.fixtures.processes import killed_process
from tests.fixtures.relay import Relay, relayed
from tests.fixtures.waiting import wait_until

from armillary.sim.modem.modem import SimulatedModem
from armillary.sim.modem.radio import Radio
from armillary.sim.modem.serving import ServedModem, TerminalLine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(170)]

INTERFACE, RADIO = "wwan0", "radio0"
LOOPBACK = "127.0.0.1"
# Polls whose values have to wait on the device while there is no session.
MISSED = 20


@dataclass
class Site:
    """The device's network, the operator's, and the modem between."""

    device: Namespace
    operator: Namespace
    modem: ServedModem
    port: Path


def run(where: Namespace, *words: str) -> None:
    subprocess.run(where.command("ip", *words), check=True, capture_output=True)


@contextlib.contextmanager
def site(field: Field) -> Iterator[Site]:
    """While the modem has a session its interface leads to the operator, and from there to the service's ports."""
    line, radio = TerminalLine(), Radio(registration="searching")
    ready = field.service.ready
    ports = [int(ready["device_endpoint"].rpartition(":")[2]), int(ready["hub_port"])]
    with contextlib.ExitStack() as stack:
        device, operator = (stack.enter_context(network_namespace()) for _ in range(2))
        there = f"/proc/{os.getpid()}/fd/{operator._descriptor}"
        run(device, "link", "add", INTERFACE, "type", "veth", "peer", "name", RADIO, "netns", there)
        run(operator, "addr", "add", f"{radio.gateway}/24", "dev", RADIO)

        outside: list[Relay] = []

        def follow(is_up: bool) -> None:
            run(operator, "link", "set", RADIO, "up" if is_up else "down")
            for relay in () if is_up else outside:  # operators forget connections of sessions that are over
                relay.cut()

        for port in ports:
            outside.append(stack.enter_context(relayed(operator, radio.gateway, port, None, LOOPBACK)))
            stack.enter_context(relayed(device, LOOPBACK, port, device, radio.gateway))
        stack.enter_context(relayed(device, LOOPBACK, field.machine.port, None, LOOPBACK))
        follow(False)
        modem = stack.enter_context(ServedModem(SimulatedModem(radio, session_changed=follow), line))
        yield Site(device, operator, modem, line.path)


def test_nothing_is_lost_while_the_session_is(tmp_path: Path) -> None:
    with deployed(tmp_path) as field, site(field) as here, (tmp_path / "device.log").open("wb") as log:
        words = (*field.boot, "--modem-port", here.port, "--modem-interface", INTERFACE)
        with killed_process(here.device.command(*words), stdout=log, stderr=subprocess.STDOUT, limit_s=None):
            wait_until(lambda: states(field)[-1:] == ["searching"], "the device looks for a network", 60)
            wait_until(lambda: field.journal("check-in-failed"), "there is no way out", 60)
            assert not field.journal("check-in")
            here.modem.change(registration="home")
            wait_until(lambda: "connected" in states(field), "the session", 60)
            wait_until(lambda: field.values().get("brewTemp"), "values of the machine", 90)

            since_ms = int(time.time() * 1000)
            wait_until(lambda: len(field.times(since_ms)) > 3, "more values", 60)
            here.modem.change(session_refused=True)
            here.modem.event("drop-session")
            wait_until(lambda: states(field)[-1] == "lost", "the session is lost", 60)
            lost_ms = int(time.time() * 1000)
            time.sleep(MISSED * PERIOD_S)  # what is read meanwhile
            back_ms = int(time.time() * 1000)
            assert max(field.times(since_ms)) < back_ms - 2000 * PERIOD_S, "something came although there is no session"
            here.modem.change(session_refused=False)
            wait_until(lambda: states(field)[-1] == "connected", "the session is back", 90)
            wait_until(lambda: field.times(since_ms)[-1] > back_ms, "values of afterwards", 90)

            times = field.times(since_ms)
            assert sum(lost_ms < each < back_ms for each in times) >= MISSED / 2, "what was read meanwhile"
            gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
            assert max(gaps) < (back_ms - lost_ms) / 2, f"{sorted(gaps)[-3:]} ms"
            wait_until(lambda: told(field).get("sessions", 0) > 1, "the service knows of the second session", 60)
            assert told(field)["state"] == "connected"
            assert min(told(field)["bytes_sent"], told(field)["bytes_received"]) > 1000
            field.check_that_each_reading_came_once()


def told(field: Field) -> dict[str, Any]:
    """What the service knows of the modem."""
    return field.get("/cellular")["status"] or {}


def states(field: Field) -> list[Any]:
    return [each["state"] for each in field.journal("cellular")]
