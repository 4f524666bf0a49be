# SPDX-License-Identifier: Apache-2.0
"""What a runtime writes as it ends becomes class, files, lines and functions; anything else becomes nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from tests.device.applications.test_supervisor import application
from tests.fixtures.dumps import state
from tests.wire.image.test_elf_symbols import BUILD, elf

from armillary.device.applications.crash_capture import KEPT_LINES, CrashCapture, build_id_of, read_trace
from armillary.engines.sandbox.port import ExitStatus
from armillary.wire.device.crash_record import (
    MAX_FRAMES,
    crash_fields,
    crash_from_fields,
    encode_crash,
    parse_crash,
)
from armillary.wire.image.asxipfs import File, Filesystem

CHAINED = """
def inner():
    raise ValueError("secret")
def outer():
    try:
        inner()
    except ValueError as error:
        raise my.Fault("other") from error
class my:
    class Fault(Exception): pass
outer()
"""


def stderr_of(program: str, *options: str) -> list[str]:
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=False)
    return done.stderr.splitlines()


def test_of_chained_exceptions_the_last_one_ended_the_program() -> None:
    cause, frames = read_trace(stderr_of(CHAINED))
    assert cause == "Fault"
    assert [(one.function, one.offset) for one in frames] == [("outer", 8), ("<module>", 11)]


def test_of_a_deadly_signal_the_thread_that_failed_is_told() -> None:
    program = "import ctypes, threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    program += "def f(): ctypes.string_at(1)\nf()\n"
    cause, frames = read_trace(stderr_of(program, "-X", "faulthandler"))
    assert cause == ""
    assert [one.function for one in frames][-2:] == ["f", "<module>"]
    assert all(one.function != "wait" for one in frames)


def test_what_was_written_before_does_not_count() -> None:
    before = [
        "Traceback (most recent call last):",
        '  File "/a/old.py", line 1, in old',
        "KeyError: caught and printed",
    ]
    after = ["Traceback (most recent call last):", '  File "/a/new.py", line 2, in new', "ValueError"]
    cause, frames = read_trace([*before, "all is well", *after, "bye"])
    assert (cause, [one.function for one in frames]) == ("ValueError", ["new"])
    assert read_trace(["nothing", "to see"]) == ("", ())


@pytest.mark.parametrize("hostile", [
    ["Traceback (most recent call last):", *[f'  File "{"x" * 500}", line 1, in {"f" * 500}'] * 300, "E" * 500],
    ["Traceback (most recent call last):", '  File "", line 999999999, in \ud800\0', "\0"],
])  # fmt: skip
def test_hostile_traces_fit_onto_the_wire(hostile: list[str]) -> None:
    capture = CrashCapture(application(1))
    for line in hostile:
        capture.hear("stderr", line)
    record = capture.record(ExitStatus(1, None))
    assert crash_from_fields(crash_fields(record)) == record
    assert len(record.frames) <= MAX_FRAMES


@given(st.lists(st.text(max_size=40) | st.sampled_from(
    ["Traceback (most recent call last):", '  File "a", line 1, in f', "Thread 0x1 (most recent call first):", "E: x"]
), max_size=30))  # fmt: skip
def test_any_output_is_a_record(lines: list[str]) -> None:
    capture = CrashCapture(application(1))
    for line in lines:
        capture.hear("stderr", line)
    for status in (ExitStatus(256, None), ExitStatus(None, 11)):
        record = capture.record(status)
        assert crash_from_fields(crash_fields(record)) == record


def test_only_the_end_of_standard_error_is_kept() -> None:
    capture = CrashCapture(application(1))
    trace = ["Traceback (most recent call last):", '  File "a", line 1, in f', "E: x"]
    for line in trace:
        capture.hear("stdout", line)
    assert capture.record(ExitStatus(1, None)).frames == ()
    for line in [*trace, *["later"] * KEPT_LINES]:
        capture.hear("stderr", line)
    assert capture.record(ExitStatus(1, None)).frames == ()


def test_the_build_id_is_the_programs() -> None:
    app = application(1)
    path = app.manifest.entry_point.removeprefix("/")
    assert build_id_of(app) == b""
    assert build_id_of(replace(app, filesystem=Filesystem({path: File(elf(), executable=True)}))) == BUILD
    assert build_id_of(replace(app, filesystem=Filesystem({path: File(b"#!/bin/sh\n", executable=True)}))) == b""


def test_of_a_native_application_frames_and_two_registers_are_kept_and_no_data() -> None:
    capture = CrashCapture(application(1))
    capture.hear("stderr", "Traceback (most recent call last):")
    seen = state()
    record = capture.record(ExitStatus(None, 11, seen))
    assert record.frames == seen.frames
    assert record.registers == (("pc", 0x117), ("lr", 0x123))
    assert b"a secret" not in encode_crash(record)
    assert parse_crash(encode_crash(record)) == record
