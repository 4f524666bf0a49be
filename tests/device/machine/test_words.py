# SPDX-License-Identifier: Apache-2.0
"""Process 1 and the device process: one is started beside the other, waits for the data, and says what has happened."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from armillary.device.machine import first
from armillary.device.machine.words import GO_VARIABLE, WORDS_VARIABLE, Word, Words


@pytest.fixture
def pipes() -> Iterator[tuple[int, int, int, int]]:
    """Words' reading and writing end, then those of the pipe on which it is told to go on."""
    ends = (*os.pipe(), *os.pipe())
    yield ends
    for each in ends:
        try:
            os.close(each)
        except OSError:  # the test, or what it tests, has closed it
            continue


def test_the_device_process_waits_for_the_data(pipes: tuple[int, int, int, int]) -> None:
    heard, said, go, told = pipes
    environment = {WORDS_VARIABLE: str(said), GO_VARIABLE: str(go), "PATH": "/usr/bin"}
    words = Words(environment)
    assert environment == {"PATH": "/usr/bin"}, "no child is given the descriptors"
    assert not os.get_inheritable(said)
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(words.wait_for_data()))
    waiting.start()
    assert waited == []
    first.Machine("a", "", "", 0.0, first.Beside(1 << 30, heard, told))._start()
    waiting.join()
    assert waited == [True]
    words.say(Word.READY)
    words.say(Word.READY)
    assert os.read(heard, 100) == b"ready\n"


def test_without_process_1_the_device_process_does_not_begin(pipes: tuple[int, int, int, int]) -> None:
    *_, go, told = pipes
    words = Words({GO_VARIABLE: str(go)})
    os.close(told)
    assert not words.wait_for_data()


def test_a_device_process_that_process_1_started_later_finds_the_data_there() -> None:
    words = Words({})
    assert words.wait_for_data()
    words.say(Word.WAITING)  # nobody listens


def test_a_device_process_that_ended_while_it_waited_is_started_again(
    pipes: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, said, go, told = pipes
    machine = first.Machine("a", "/dev/vda", "", 0.0, first.Beside(1 << 30, heard, told))
    os.close(go)
    os.close(said)
    machine._start()
    started: list[str] = []
    monkeypatch.setattr(
        first.os, "posix_spawn", lambda *given: started.append(given[2][first.DISK_VARIABLE]) or 1 << 30
    )
    machine._start()
    assert started == ["/dev/vda"]
    os.close(machine._words)
