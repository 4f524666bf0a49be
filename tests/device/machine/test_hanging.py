# SPDX-License-Identifier: Apache-2.0
"""A device process that hangs is heard no more, and the machine restarts; one that works, or stands still, goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.device.machine.process_1_clock import Clock, moved_by_hand

from armillary.device.machine import being, enrolling, first, program
from armillary.device.machine.words import BEAT_S, WORDS_VARIABLE, Words
from armillary.device.state.journal import Journal
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.boot_slots import EfiBootSlots
from armillary.engines.flash.os_disk import OsDisk

PATIENCE_S = 20 * 60


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return moved_by_hand(monkeypatch)


@pytest.fixture
def words() -> Iterator[tuple[int, Words]]:
    """What the device process says: where it is heard, and its end."""
    heard, said = os.pipe()
    yield heard, Words({WORDS_VARIABLE: str(said)})
    os.close(heard)
    os.close(said)


@pytest.fixture
def machine(clock: Clock, words: tuple[int, Words]) -> first.Machine:
    """Process 1, which has let its device process go."""
    waits, go = os.pipe()
    machine = first.Machine("a", "/dev/vda", "/dev/vda5", 0.0, first.Beside(1 << 30, words[0], go))
    machine._signals, _ = os.pipe()
    machine._keeps_data = True
    machine._start()
    os.close(waits)
    return machine


def look_for(machine: first.Machine, clock: Clock, seconds: float, each: Callable[[], None] = lambda: None) -> None:
    """Let process 1 look as often as it does, ``each`` before each look, until it ends the machine."""
    end = clock.now + seconds
    while clock.now < end and machine._ending is None:
        clock.now += first._LOOK_EVERY_S
        each()
        machine._look(0.0)


def test_a_device_process_that_is_not_heard_for_long_restarts_the_machine(
    machine: first.Machine, clock: Clock, words: tuple[int, Words], capsys: pytest.CaptureFixture[str]
) -> None:
    words[1].beat()
    begun = clock.now
    look_for(machine, clock, 2 * PATIENCE_S)
    assert machine._ending is signal.SIGINT, "whatever ends it but SIGTERM is a restart (Machine.run)"
    assert PATIENCE_S <= clock.now - begun <= PATIENCE_S + 3 * first._LOOK_EVERY_S
    said = capsys.readouterr().out
    assert "nothing was heard of the device process for 20 minutes: the machine restarts" in said
    assert "beat" not in said


def test_one_that_is_heard_in_time_goes_on(machine: first.Machine, clock: Clock, words: tuple[int, Words]) -> None:
    last = [clock.now]

    def beat() -> None:
        if clock.now - last[0] >= PATIENCE_S - 2 * first._LOOK_EVERY_S:
            last[0] = clock.now
            words[1].beat()

    look_for(machine, clock, 5 * PATIENCE_S, beat)
    assert machine._ending is None
    assert PATIENCE_S >= 20 * BEAT_S, "so many beats may be late"


def test_a_machine_that_stood_still_goes_on_though_its_clock_did_not(machine: first.Machine, clock: Clock) -> None:
    """An emulator that was stopped, or a host that slept."""
    clock.now += 10 * PATIENCE_S
    machine._look(0.0)
    look_for(machine, clock, PATIENCE_S / 2)
    assert machine._ending is None


def test_a_device_process_of_a_development_image_may_be_stopped(machine: first.Machine, clock: Clock) -> None:
    machine._shells = SimpleNamespace(ended=None)  # type: ignore[assignment]
    look_for(machine, clock, 2 * PATIENCE_S)
    assert machine._ending is None


def test_one_that_is_started_again_has_its_time_anew(machine: first.Machine, clock: Clock, tmp_path: Path) -> None:
    look_for(machine, clock, PATIENCE_S - first._LOOK_EVERY_S)
    machine._beside = first.Beside(1 << 30, machine._words, os.open(tmp_path, os.O_RDONLY))
    machine._let_go = lambda _beside: None  # type: ignore[method-assign]
    machine._start()
    look_for(machine, clock, PATIENCE_S / 2)
    assert machine._ending is None


@pytest.mark.parametrize(("apart_s", "ends"), [(60.0, [True]), (90.0, [])])
def test_a_device_process_that_ends_five_times_within_five_minutes_restarts_the_machine_at_once(
    machine: first.Machine, clock: Clock, monkeypatch: pytest.MonkeyPatch, apart_s: float, ends: list[bool]
) -> None:
    """It may be an OS on trial: no 15 minutes are waited. One that ends more seldom is only started again."""
    ended: list[bool] = []
    monkeypatch.setattr(machine, "_end", lambda *, restart: ended.append(restart))
    monkeypatch.setattr(first.os, "posix_spawn", lambda *_: 1 << 30)
    machine._words = -1  # the fixture closes it
    for _ in range(4):
        clock.now += apart_s
        machine._start()
    assert ended == []
    clock.now += 59.0
    machine._start()
    os.close(machine._words)
    assert ended == ends


def test_a_hang_that_ends_for_no_signal_ends_with_the_machine(tmp_path: Path) -> None:
    """Process 1, whole (``process_1.py``)."""
    command = [sys.executable, Path(__file__).with_name("process_1.py"), tmp_path, "hangs=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert any("nothing was heard of the device process" in line for line in said)
    assert said[-3:] == ["data is unmounted", "armillary: restarting", "the kernel restarts the machine"]


class Being:
    """In place of the device: ``work`` is what it does once its start is over."""

    restarts_machine = False

    def __init__(self, work: Callable[[], Any], *, is_started: bool = True) -> None:
        self.journal = Journal(None, lambda: 0)
        self._work = work
        self._is_started = is_started

    def stop(self) -> None:
        pytest.fail("nobody asked for it")

    async def run(self) -> None:
        if self._is_started:
            self.journal.write("sandbox", sandbox="linux", complete=True, weaker=[])
        await self._work()


def heard(words: tuple[int, Words], device: Being) -> list[str]:
    asyncio.run(being._be_device(device, words[1]))  # type: ignore[arg-type]
    os.set_blocking(words[0], False)
    try:
        return os.read(words[0], 4096).decode().split()
    except BlockingIOError:
        return []


async def some_turns() -> None:
    """Let the event loop turn; with ``BEAT_S`` 0 each turn is one in which a beat is due."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_its_event_loop_beats_and_no_thread_beside_it(
    words: tuple[int, Words], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(being, "BEAT_S", 0)
    threads = threading.active_count()

    async def work() -> None:
        await some_turns()
        assert threading.active_count() == threads, "it would beat while the event loop hangs"

    async def hang() -> None:
        """It gives the loop no turn."""

    assert heard(words, Being(work)).count("beat") >= 3
    assert heard(words, Being(hang)).count("beat") <= 1


class StoppedError(Exception):
    """It has waited often enough."""


def test_a_machine_that_waits_to_be_enrolled_beats_whenever_it_has_looked(
    words: tuple[int, Words], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            raise StoppedError

    monkeypatch.setattr(program.time, "sleep", sleep)
    monkeypatch.setattr(enrolling, "PLACES", ())
    with pytest.raises(StoppedError):
        program._enrol(DeviceFolder(tmp_path / "device"), words[1], OsDisk({}, EfiBootSlots({}), "x"), keeps=False)
    assert os.read(words[0], 4096).decode().split() == ["waiting", *["beat"] * 9]
    assert max(waits) <= PATIENCE_S / 10


def test_a_start_that_does_not_come_to_its_end_does_not_beat(
    words: tuple[int, Words], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(being, "BEAT_S", 0)
    assert heard(words, Being(some_turns, is_started=False)) == []
    assert heard(words, Being(some_turns)) != [], "the same with a start that did"
