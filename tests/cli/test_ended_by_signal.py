# SPDX-License-Identifier: Apache-2.0
"""A command that is asked to end leaves as by Ctrl-C: what it holds is given back, and its exit says which signal."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from tests.fixtures.processes import OwnProcess

# A command that holds something until its end, in place of one with a machine.
COMMAND = """
import contextlib, os, signal, sys, time
from armillary.cli import main

@contextlib.contextmanager
def held():
    try:
        yield
    finally:
        if "again" in sys.argv:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
                os.kill(os.getpid(), number)
        print("given back", flush=True)

def command(args, prog_name):
    with held():
        print("holds it", flush=True)
        for _ in range(6000):
            time.sleep(0.1)  # a signal that comes just before a sleep begins does not cut it short

command.params = []

# Whatever the tests were started by ignores
signal.signal(signal.SIGHUP, signal.SIG_IGN if "nohup" in sys.argv else signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
main.needed = lambda name, rest: command
sys.argv[1:] = ["image", *sys.argv[1:]]
main.run()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_a_command_holds_is_given_back(number: signal.Signals) -> None:
    with OwnProcess([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE) as process:
        assert process.readline() == "holds it\n"
        process.send_signal(number)
        assert process.readline() == "given back\n"
        assert process.wait(timeout=60) == 128 + number


def test_a_signal_that_is_ignored_stays_so() -> None:
    with OwnProcess([sys.executable, "-c", COMMAND, "nohup"], stdout=subprocess.PIPE) as process:
        assert process.readline() == "holds it\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.readline() == "given back\n"
        assert process.wait(timeout=60) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_asks_again_meanwhile_does_not_cut_it_short(number: signal.Signals) -> None:
    with OwnProcess([sys.executable, "-c", COMMAND, "again"], stdout=subprocess.PIPE) as process:
        assert process.readline() == "holds it\n"
        process.send_signal(number)
        assert process.readline() == "given back\n"
        assert process.wait(timeout=60) == 128 + number
