# SPDX-License-Identifier: Apache-2.0
"""A real program crashes in the sandbox, and is seen where it was; one that does not crash is left alone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engines.sandbox.sandbox_stage import DEADLINE_S, Outcome, Stage, crun, linux
from tests.fixtures.native_program import NO_TRACER, SECRET, native_program
from tests.fixtures.waiting import until

from armillary.engines.sandbox.crash import ptrace
from armillary.engines.sandbox.crash.ptrace import can_trace
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.port import ExitStatus, Sandbox
from armillary.wire.device.crash_dump import MachineState
from armillary.wire.image.elf_symbols import read_elf

pytestmark = pytest.mark.skipif(
    not can_trace(os.uname().machine),
    reason=NO_TRACER,
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def run(stage: Stage, way: str, sandbox: Sandbox | None = None) -> Outcome:
    program = {"bin/app": native_program()}
    return stage.run(sandbox or linux(own_user=True), "", files=program, arguments=(way,))


def state_of(outcome: Outcome) -> MachineState:
    assert outcome.status is not None
    assert outcome.status.state is not None
    return outcome.status.state


def functions(state: MachineState) -> list[str]:
    """Names of the program's own frames, innermost first, without those of its start."""
    symbols = read_elf(native_program())
    names = [symbols.name_at(one.offset) for one in state.frames if one.module == "app"]
    return [name.partition(".")[0] for name in names if not name.startswith("_")]


@pytest.mark.parametrize("made", [linux, crun])
@pytest.mark.parametrize("own_user", [True, False], ids=["as-root", "as-user"])
@pytest.mark.parametrize(
    ("way", "number", "fault", "names"),
    [
        ("null", 11, "null", ["pump", "valve", "main"]),
        ("abort", 6, "none", ["give_up", "main"]),
        ("assert", 6, "none", ["main"]),
        ("call", 11, "null", ["main"]),
        ("handler", 6, "none", ["give_up", "caught", "pump", "valve", "main"]),
        ("thread", 11, "null", ["pump", "valve", "work"]),
    ],
)
def test_where_a_native_program_crashed_is_seen(
    stage: Stage, way: str, number: int, fault: str, names: list[str], own_user: bool, made: Callable[..., Sandbox]
) -> None:
    outcome = run(stage, way, made(own_user=own_user))
    state = state_of(outcome)
    assert (outcome.status and outcome.status.signal, state.signal, state.fault) == (number, number, fault)
    assert functions(state) == names
    assert {one.build_id for one in state.frames if one.module == "app"} == {bytes.fromhex("c0ffee")}


def test_the_registers_are_those_of_the_thread_that_crashed(stage: Stage) -> None:
    state = state_of(run(stage, "thread"))
    registers = dict(state.registers)
    assert set(registers) == {name for name in ptrace.REGISTERS[state.machine] if name is not None}
    counter = registers["rip" if state.machine == "x86_64" else "pc"]
    module = state.module_at(counter)
    assert module is not None
    assert (module.name, counter - module.bias) == ("app", state.frames[0].offset)
    assert state.stack is not None
    assert SECRET in state.stack.content  # as it is in memory: who keeps it decides what of it


def test_a_stack_that_overflowed_is_walked(stage: Stage) -> None:
    state = state_of(run(stage, "overflow"))
    assert state.signal == 11
    assert set(functions(state)) == {"deep"}
    assert state.stack is not None


@pytest.mark.parametrize(("way", "code"), [("none", 0), ("signals", 3), ("recovers", 4), ("forks", 6)])
def test_a_program_that_does_not_crash_is_left_alone(stage: Stage, way: str, code: int) -> None:
    status = run(stage, way).status
    assert status is not None
    assert (status.exit_code, status.signal, status.state) == (code, None, None)


def test_a_program_that_stops_itself_stays_stopped_until_it_is_continued(stage: Stage) -> None:
    async def play() -> ExitStatus:
        launch = stage.launch("", files={"bin/app": native_program()}, arguments=("stops",))
        running = await linux(own_user=True).start(launch, lambda _: None)
        try:
            await until(lambda: state_letter(running.pid) in "tT", "the stop")
            os.kill(running.pid, signal.SIGCONT)
            async with asyncio.timeout(DEADLINE_S):
                return await running.wait()
        finally:
            await running.stop(0)

    assert asyncio.run(play()) == ExitStatus(5, None)


def state_letter(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_without_the_tracer_nothing_is_seen(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: int) -> None:
        raise PermissionError(1, "not here")

    monkeypatch.setattr(ptrace, "seize", refuse)
    status = run(stage, "null").status
    assert status is not None
    assert (status.signal, status.state) == (11, None)


def test_a_script_is_not_traced(stage: Stage) -> None:
    status = stage.run(linux(own_user=True), "import os; os.abort()").status
    assert status is not None
    assert (status.signal, status.state) == (6, None)


def test_the_machine_has_a_table_of_registers() -> None:
    assert kernel.machine() in ptrace.REGISTERS
