# SPDX-License-Identifier: Apache-2.0
"""A machine of our own whose sandbox does not hold at its start: it is a device, waits with applications, comes up whole."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rig import FAST, Rig, provisioned
from tests.fixtures.waiting import until

from armillary.device.boot import late_sandbox
from armillary.device.boot.late_sandbox import test_or_wait as try_or_wait
from armillary.device.settings import DeviceSettings
from armillary.engines.sandbox.patience import LONG, USUAL, NoAnswerError, Patience
from armillary.engines.sandbox.port import Mechanism, Sandbox, SandboxReport
from armillary.errors import InvalidArgumentError, SandboxUnavailableError
from armillary.update.install.trial import TrialRules

pytestmark = pytest.mark.anyio
SLOW = NoAnswerError("This host did not answer in time whether it allows namespaces: /usr/bin/bwrap: no answer.")
REFUSED = SandboxUnavailableError("This host does not allow namespaces: /usr/bin/bwrap: Operation not permitted.")


class Whole(FakeSandbox):
    """A sandbox whose only mechanism holds."""

    name = "linux"

    def self_test(self) -> SandboxReport:
        return SandboxReport("linux", (Mechanism("seccomp", enforced=True, detail="seen"),), ())


class Host:
    """What the host says when its sandbox is asked for: an error, or the sandbox."""

    def __init__(self) -> None:
        self.sandbox = Whole()
        self.says: Exception | None = SLOW
        self.asked: list[Patience] = []

    def open(self, name: str, patience: Patience) -> Sandbox:
        assert name == "linux"
        self.asked.append(patience)
        if self.says is not None:
            raise self.says
        return self.sandbox


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host()
    monkeypatch.setattr(late_sandbox, "open_without_falling_back", found.open)
    monkeypatch.setattr(late_sandbox, "AGAIN_FIRST_S", 0.01)
    monkeypatch.setattr(late_sandbox, "AGAIN_LIMIT_S", 0.02)
    return found


def of_a_machine(_sandbox: Sandbox | None, name: str) -> asyncio.Future[tuple[Sandbox, SandboxReport]]:
    """Begin the test as ``device/machine`` does."""
    return asyncio.get_running_loop().run_in_executor(None, try_or_wait, name)


def settings(**rules: float) -> DeviceSettings:
    return replace(FAST, begin_test=of_a_machine, trial=replace(FAST.trial, **rules))


@pytest.fixture
async def machine(tiny_service: Any, host: Host, tmp_path: Path) -> AsyncIterator[Rig]:
    """A device made with the sandbox ``linux``."""
    plain = tiny_service.provision
    tiny_service.provision = lambda folder: plain(folder, sandbox="linux")
    async with provisioned(tiny_service, None, tmp_path / "d") as found:
        yield found


def reports(rig: Rig) -> list[str]:
    return [one.description for one in rig.service.reports_seen.values() if one.event_type == "SandboxWeakened"]


async def test_it_checks_in_and_installs_and_applications_run_once_the_sandbox_holds(machine: Rig, host: Host) -> None:
    image = machine.service.application()
    machine.service.deploy(image)
    await machine.start(settings())
    await until(lambda: [one["state"] for one in machine.status().get("applications", ())] == ["waiting"], "it waits")
    await until(lambda: len(host.asked) > 3, "tried again")
    first = machine.service.checks[0][1].evidence
    assert first.sandbox == "waiting"
    assert dict(first.enforcement)["namespaces"].startswith("missing: no application runs")
    assert reports(machine) == [f"SandboxWeakened (sandbox=waiting): {SLOW.message}"]
    assert (machine.status()["sandbox"]["name"], machine.status()["sandbox"]["complete"]) == ("waiting", False)
    assert not host.sandbox.runs
    host.says = None
    await until(lambda: machine.outcomes() == [(image.image_id, "confirmed")], "it runs")
    assert host.sandbox.alive == ["app1"]
    assert machine.service.checks[-1][1].evidence.sandbox == "linux"
    assert machine.status()["sandbox"]["complete"]
    assert [(one["sandbox"], one["complete"]) for one in machine.events("sandbox")] == [
        ("waiting", False),
        ("linux", True),
    ]
    assert len(reports(machine)) == 1
    assert host.asked[:2] == [USUAL, LONG]


async def test_what_it_says_is_told_once_until_it_says_something_else(machine: Rig, host: Host) -> None:
    await machine.start(settings())
    await until(lambda: len(host.asked) > 5, "tried again")
    assert len(machine.events("sandbox")) == 1
    host.says = REFUSED
    await until(lambda: len(reports(machine)) == 2, "a refusal is reported as that")
    assert REFUSED.message in reports(machine)[1]
    (sentence,) = machine.events("sandbox")[1]["weaker"]
    assert sentence == f"No application runs until the sandbox holds, which is tried again and again: {REFUSED.message}"


async def test_a_trial_waits_for_an_answer_as_well(machine: Rig, host: Host) -> None:
    """Its applications have had no time to become healthy yet, however long that takes."""
    machine.service.deploy(machine.service.application())
    await machine.start(settings(deadline_s=0.0))
    await until(lambda: machine.status().get("applications"), "it is on trial")
    seen = len(host.asked)
    await until(lambda: len(host.asked) > seen + 20, "tried again")
    assert machine.status()["installation"] == "trial"
    assert machine.outcomes() == []


async def test_what_was_installed_on_a_kernel_that_refuses_is_taken_back(machine: Rig, host: Host) -> None:
    host.says = REFUSED
    image = machine.service.application()
    machine.service.deploy(image)
    await machine.start(settings(deadline_s=0.05))
    await until(lambda: machine.outcomes() == [(image.image_id, "reverted")], "taken back")
    assert not host.sandbox.runs


async def test_it_ends_while_it_waits_and_starts_no_application_outside(machine: Rig, host: Host) -> None:
    machine.service.deploy(machine.service.application())
    await machine.start(settings())
    await until(lambda: machine.status().get("applications"), "it waits")
    await machine.stop()
    assert machine.status()["state"] == "stopped"
    assert not [one for one in asyncio.all_tasks() if one.get_name() == "late sandbox"], "nobody tries again"
    host.says = None
    await until(lambda: "late-sandbox-test" not in {one.name for one in threading.enumerate()}, "the last test is over")
    assert not host.sandbox.runs


async def test_a_late_sandbox_starts_nothing_by_itself(host: Host) -> None:
    sandbox, report = try_or_wait("linux")
    assert report == sandbox.self_test()
    assert host.asked == [USUAL]
    rules = TrialRules(deadline_s=300, contact_s=14400)
    assert late_sandbox.trial_time(sandbox, 5.0, rules) == (5.0, replace(rules, deadline_s=14400))
    host.says = None
    await sandbox.try_again(lambda _: None)  # type: ignore[attr-defined]
    began, kept = late_sandbox.trial_time(sandbox, 5.0, rules)
    assert (began, kept) == (sandbox.held_at, rules)  # type: ignore[attr-defined]
    assert began > 5.0, "it has its whole time from when the sandbox held"
    host.says = REFUSED
    assert late_sandbox.trial_time(try_or_wait("linux")[0], 5.0, rules) == (5.0, rules)
    assert late_sandbox.trial_time(host.sandbox, 5.0, rules) == (5.0, rules)


async def test_a_fault_of_the_moment_is_no_end(host: Host) -> None:
    """What comes of it beside the sandbox's own errors: no memory, no descriptors."""
    sandbox, _ = try_or_wait("linux")
    heard: list[SandboxReport] = []
    host.says = OSError(12, "Cannot allocate memory")
    trying = asyncio.create_task(sandbox.try_again(heard.append))  # type: ignore[attr-defined]
    await until(lambda: heard, "it was told")
    assert "Cannot allocate memory" in heard[0].fallen
    host.says = None
    await trying
    assert heard[-1].complete


def test_an_engine_that_is_none_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgumentError, match="docker"):
        try_or_wait("docker")
