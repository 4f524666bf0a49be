# SPDX-License-Identifier: Apache-2.0
"""Emulated cores in every sandbox: contained, heard, ended; and the emulator imports what its image holds."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.engines.sandbox.sandbox_stage import ENGINES, engine
from tests.fixtures.core_firmware import firmware, sample
from tests.fixtures.core_images import halting

import armillary
from armillary.capability.application_limits import CORE_LIMITS
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.engines.real_time import emulated, image
from armillary.engines.real_time.emulated import EmulatedCores
from armillary.engines.real_time.port import RealTimeCores
from armillary.engines.real_time.process_of_core import contained
from armillary.engines.sandbox.port import ExitStatus, Launch, OutputLine, Sandbox
from armillary.engines.sandbox.process import ProcessSandbox
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.errors import InstallError, SandboxUnavailableError
from armillary.wire.image.app_manifest import AppManifest

COMPONENT = UUID("5d0a1c36-6f3e-4f39-9b1e-7a2f0c1d4e01")
DEADLINE_S = 60.0


@pytest.fixture(params=[*ENGINES, "process"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return ProcessSandbox() if request.param == "process" else engine(request.param)


def launch(folder: Path, content: bytes, *, real_time: bool = True, **changes: Any) -> Launch:
    root = extract_image({"bin/app": content}, {"bin/app"}, folder / "image")
    manifest = AppManifest(
        name="pulse", component_id=COMPONENT, entry_point="/bin/app", application_type="RealTimeCapable"
    )
    grant = Grant(component_id=COMPONENT, hosts=allowed_hosts(()), real_time=real_time, limits=CORE_LIMITS)
    return dataclasses.replace(Launch(image_root=root, manifest=manifest, grant=grant, temporary=folder), **changes)


def play(
    runs: Sandbox | RealTimeCores, asked: Launch, enough: Callable[[list[str]], bool]
) -> tuple[list[str], ExitStatus]:
    """Run, in an emulated core of a sandbox or in these cores, until it has said enough, or has ended.

    Returns what it said, and its end.
    """
    cores = runs if hasattr(runs, "kind") else EmulatedCores(runs)

    async def run() -> tuple[list[str], ExitStatus]:
        lines: list[str] = []
        heard = asyncio.Event()

        def on_event(event: Any) -> None:
            if isinstance(event, OutputLine):
                lines.append(f"{event.stream}: {event.text}")
                if enough(lines):
                    heard.set()

        running = await cores.start(asked, on_event)
        try:
            async with asyncio.timeout(DEADLINE_S):
                ended, told = asyncio.ensure_future(running.wait()), asyncio.ensure_future(heard.wait())
                await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                return lines, await ended if ended.done() else await running.stop(30)
        finally:
            ended.cancel()
            await running.stop(0)

    return asyncio.run(run())


def test_the_sample_runs_and_is_stopped(sandbox: Sandbox, tmp_path: Path) -> None:
    lines, status = play(sandbox, launch(tmp_path, sample()), lambda said: len(said) == 2)
    assert lines == ["stdout: pulse: started", "stdout: pulse: the timer ticks"]
    assert (status.signal, status.core) == (15, None)
    assert not list(tmp_path.glob("*.core")), "the emulator's folder goes with it"


def test_a_fault_ends_the_core_with_its_registers(sandbox: Sandbox, tmp_path: Path) -> None:
    written = 'armillary-core: {"kind":"BusFault"}'.replace('"', '\\"')
    broken = firmware(f'void core_main(void) {{ core_print("{written}"); CORE_REGISTER(0x60000000) = 1; }}')
    lines, status = play(sandbox, launch(tmp_path, broken), lambda _: False)
    assert lines == ['stdout: armillary-core: {"kind":"BusFault"}'], "what firmware prints is no fault"
    assert (status.exit_code, status.signal) == (None, 11)
    assert status.core is not None
    assert (status.core.kind, status.core.address) == ("BusFault", 0x6000_0000)
    assert status.core.pc >> 20 == 0x001


def test_a_reset_ends_it_like_a_program(tmp_path: Path) -> None:
    asks = firmware("void core_main(void) { core_put('x'); CORE_REGISTER(0xE000ED0C) = 0x05FA0004; for (;;) {} }")
    lines, status = play(ProcessSandbox(), launch(tmp_path, asks), lambda _: False)
    assert (lines, status.exit_code, status.core) == (["stdout: x"], 0, None)


def test_a_core_that_never_waits_leaves_a_processor_room(tmp_path: Path) -> None:
    spins = firmware('void core_main(void) { core_print("spins"); for (volatile int i = 0;; i++) {} }')

    async def run() -> None:
        heard = asyncio.Event()
        running = await EmulatedCores(ProcessSandbox()).start(launch(tmp_path, spins), lambda _: heard.set())
        try:
            async with asyncio.timeout(DEADLINE_S):
                await heard.wait()
                rests = 0
                while rests < 3:  # it is seen asleep, again and again: it does not take a processor whole
                    state = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[0]
                    rests += state == "S"
                    await asyncio.sleep(0.001)
        finally:
            await running.stop(0)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"#!/bin/sh\n", "expected an ELF file"), (b"", "expected an ELF file"), (halting()[:-1], "in the file")],
)
def test_what_is_no_firmware_is_refused_before_anything_starts(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InstallError, match=said):
        play(ProcessSandbox(), launch(tmp_path, content), lambda _: False)
    assert not list(tmp_path.glob("*.core"))


def test_a_missing_entry_point_or_a_high_level_application_is_refused(tmp_path: Path) -> None:
    asked = launch(tmp_path, halting())
    for wrong, said in (
        (dataclasses.replace(asked, manifest=dataclasses.replace(asked.manifest, entry_point="/bin/no")), "/bin/no"),
        (dataclasses.replace(asked, grant=dataclasses.replace(asked.grant, real_time=False)), "a high-level one"),
    ):
        with pytest.raises(InstallError, match=said):
            play(ProcessSandbox(), wrong, lambda _: False)


def test_a_sandbox_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    class Refuses(ProcessSandbox):
        async def start(self, *_: Any) -> Any:
            raise SandboxUnavailableError("not here")

    with pytest.raises(SandboxUnavailableError):
        play(Refuses(), launch(tmp_path, halting()), lambda _: False)
    assert not list(tmp_path.glob("*.core"))


def test_without_unicorn_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "LIBRARY", "no_such_library")
    with pytest.raises(SandboxUnavailableError) as caught:
        play(ProcessSandbox(), launch(tmp_path, halting()), lambda _: False)
    assert "armillary[real-time]" in caught.value.remedy


def test_the_emulator_asks_for_nothing_and_is_bounded(tmp_path: Path) -> None:
    asked = launch(tmp_path, halting())
    asked = dataclasses.replace(asked, environment={"ARMILLARY_HUB_HOST": "h"})
    made = contained(asked, tmp_path / "core", {})
    assert made.grant == Grant(component_id=COMPONENT, hosts=allowed_hosts(()), limits=CORE_LIMITS)
    assert made.environment == {}
    assert emulated.KIND == "emulated Cortex-M4, not silicon"


@pytest.mark.parametrize("program", [image.EMULATOR, image.BESIDE])
def test_the_image_holds_what_its_program_imports(program: image.CoreProgram) -> None:
    package = Path(armillary.__file__).parent
    held = {f"armillary.{one.removesuffix('.py').replace('/', '.')}" for one in program.modules}
    assert f"armillary.engines.real_time.within.{program.name}" in held
    for module in program.modules:
        for node in ast.walk(ast.parse((package / module).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("armillary"):
                names = {f"{node.module}.{each.name}" for each in node.names} | {node.module}
                assert names & held, f"{module} imports {node.module}"
            elif isinstance(node, ast.Import):
                assert {each.name.partition(".")[0] for each in node.names} <= sys.stdlib_module_names
