# SPDX-License-Identifier: Apache-2.0
"""The sandbox of a machine of our own: the engine that it was made with, and never a weaker one in its place.

What its kernel gives is known, so a self-test that does not pass is a machine that is too slow now, or a fault. Until
the engine holds, no application runs; the device itself checks in, is attested and is updated, says why on its console
and to its service, and tries again. A trial of images waits as well while there is no answer, but not where the kernel
has refused: an OS that cannot contain applications is taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

from armillary.device.boot.image_kind import command_line, with_image_kind
from armillary.device.boot.sandbox_test import test_sandbox
from armillary.device.state.backoff import Backoff
from armillary.device.state.clock import steady
from armillary.engines.sandbox.control_groups import report as group_report
from armillary.engines.sandbox.linux_report import judges
from armillary.engines.sandbox.patience import LONG, USUAL, NoAnswerError
from armillary.engines.sandbox.port import (
    AppEvent,
    Launch,
    Mechanism,
    RunningApplication,
    Sandbox,
    SandboxReport,
)
from armillary.engines.sandbox.selection import open_without_falling_back
from armillary.errors import ArmillaryError, HostError, SandboxUnavailableError
from armillary.update.install.trial import TrialRules
from armillary.wire.attestation.mechanisms import WAITING

# A machine that was slow at its start is often fast a moment later; one that refuses is asked every five minutes.
AGAIN_FIRST_S: Final = 5.0
AGAIN_LIMIT_S: Final = 300.0
_LACKING: Final = "no application runs: the sandbox does not hold yet"


def test_or_wait(name: str) -> tuple[Sandbox, SandboxReport]:
    """Test the engine of this name once; where it does not hold now, what waits for it.

    Raises:
        InvalidArgumentError: no such engine.
    """
    try:
        return test_sandbox(open_without_falling_back(name, USUAL), name)
    except HostError as error:
        late = LateSandbox(name, error)
        return late, late.self_test()


class LateSandbox:
    """Runs nothing until the engine of its name holds (``port.Sandbox``)."""

    def __init__(self, name: str, why: ArmillaryError | OSError) -> None:
        self.name = name
        self.held_at: float | None = None  # By ``clock.steady``
        self._engine: Sandbox | None = None
        self._holds = asyncio.Event()
        self._take(why)

    def _take(self, why: ArmillaryError | OSError) -> None:
        self.is_refused = isinstance(why, SandboxUnavailableError) and not isinstance(why, NoAnswerError)
        said = why.message if isinstance(why, ArmillaryError) else f"the self-test could not run: {why}"
        self._report = with_image_kind(waiting_report(said), command_line())

    def self_test(self) -> SandboxReport:
        """Of the engine once it holds; until then that nothing does, and why."""
        return self._report

    async def start(self, launch: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application in the engine; see ``port.Sandbox``."""
        if self._engine is None:
            raise SandboxUnavailableError(
                f"{launch.manifest.name}: {self._report.fallen}", remedy="The device starts it once its sandbox holds."
            )
        return await self._engine.start(launch, on_event)

    async def holds(self) -> None:
        """Wait until the engine holds."""
        await self._holds.wait()

    async def try_again(self, heard: Callable[[SandboxReport], None]) -> None:
        """Test the engine until it holds; ``heard`` gets each report that says something new."""
        backoff = Backoff(AGAIN_FIRST_S, AGAIN_LIMIT_S)
        while self._engine is None:
            await asyncio.sleep(backoff.failed())
            before = self._report
            try:
                self._engine, self._report = await _beside(self._test)
            except (ArmillaryError, OSError) as error:
                self._take(error)
            if self._report != before:
                heard(self._report)
        self.held_at = steady()
        self._holds.set()

    def _test(self) -> tuple[Sandbox, SandboxReport]:
        return test_sandbox(open_without_falling_back(self.name, LONG), self.name)


def waiting_report(why: str) -> SandboxReport:
    """What a device says of its sandbox while no engine holds: nothing of it does."""
    lacking = tuple(Mechanism(name, False, _LACKING) for name in (*judges(as_root=True), *group_report.JUDGES))
    sentence = f"No application runs until the sandbox holds, which is tried again and again: {why}"
    return SandboxReport(WAITING, lacking, (sentence,), fallen=why)


async def until_it_holds(sandbox: Sandbox) -> None:
    """Wait for a sandbox that is late; any other holds already."""
    if isinstance(sandbox, LateSandbox):
        await sandbox.holds()


@contextlib.asynccontextmanager
async def tried_again(sandbox: Sandbox, heard: Callable[[SandboxReport], None]) -> AsyncIterator[None]:
    """Have a sandbox that is late tried again for as long as the context lasts; any other needs nothing."""
    if not isinstance(sandbox, LateSandbox):
        yield
        return
    trying = asyncio.create_task(sandbox.try_again(heard), name="late sandbox")
    try:
        yield
    finally:
        trying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await trying


def trial_time(sandbox: Sandbox, started: float, rules: TrialRules) -> tuple[float, TrialRules]:
    """When a trial that ``started`` then began for its applications, and its rules; see the module's description.

    While there is no answer they have as long as a new OS has to reach its service; then it begins anew.
    """
    if not isinstance(sandbox, LateSandbox):
        return started, rules
    if sandbox.held_at is not None:
        return max(started, sandbox.held_at), rules
    return started, rules if sandbox.is_refused else replace(rules, deadline_s=max(rules.deadline_s, rules.contact_s))


def _beside(work: Callable[[], tuple[Sandbox, SandboxReport]]) -> asyncio.Future[tuple[Sandbox, SandboxReport]]:
    """Work in a thread of its own, which the end of the process does not wait for: a slow test holds up no restart."""
    outcome: Future[tuple[Sandbox, SandboxReport]] = Future()

    def run() -> None:
        outcome.set_running_or_notify_cancel()
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to who waits, whatever it is
            outcome.set_exception(error)

    threading.Thread(target=run, name="late-sandbox-test", daemon=True).start()
    return asyncio.wrap_future(outcome)
