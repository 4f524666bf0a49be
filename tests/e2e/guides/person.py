# SPDX-License-Identifier: Apache-2.0
"""Somebody who does what pages say, to the letter: types their commands, saves their files, compares what is printed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import string
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from tests.e2e.guides.blocks import COMMANDS, FILES, ROOT, Block, Step, blocks_of, steps_of
from tests.e2e.guides.checks import check
from tests.e2e.guides.output import Known, compared, in_order
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import OwnProcess
from tests.fixtures.waiting import wait_until

from armillary.cli.main import run

# The longest that a command, or what a page says comes by itself, may take.
LIMIT_S = 60.0
# The same for a command that goes on, until it says what the page shows.
START_LIMIT_S = 90.0
# The ports that pages name; here each is another one.
PORTS = {"8443": "--api-port", "8444": "--device-port", "8883": "--hub-port", "8445": "", "15020": ""}
# Commands that do not end by themselves: they are left running, and what pages show of them later is waited for.
GOES_ON = ("armillary up", "armillary device boot", "armillary sim equipment")
# Verbs that only look: where they do not say yet what the page shows, a person looks again.
LOOKS = re.compile(
    r"armillary (status|search|advisory (show|affected|coverage)|"
    r"[a-z-]+( [a-z-]+)?? (list|show|members|data|results|telemetry|devices|update-status|show-deployment-status))\b"
    r"|curl (?!.* -X )|tail |openssl |promtool "
)
ASSIGNED = re.compile(r"(?:export )?([A-Z_]+)=(\"[^\"]*\"|'[^']*'|[^\s'\"]*)")
# Programs that a host may not have: what they would do is passed over there.
OPTIONAL = frozenset({"promtool"})
SHELL = re.compile(r"[|<>&;`]|\$\(")
ASKED = "[y/N]: "


@dataclass
class Going:
    """A command that goes on, and what it has printed."""

    command: str
    process: OwnProcess
    lines: list[str] = field(default_factory=list)
    seen: int = 0


class Person:
    """One folder, one environment, the commands that go on in other terminals, and what was learned so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = Known(fixed={port: str(reserved_port()) for port in PORTS})
        self.known.fixed["/home/you"] = str(folder)
        self.going: list[Going] = []
        self.done: list[str] = []  # places of the blocks that were run, saved or checked
        programs = folder / "bin"
        programs.mkdir()
        for name, arguments in (("armillary", "-m armillary "), ("python", "")):
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments}"$@"\n')
            (programs / name).chmod(0o755)
        (folder / "armillary").mkdir()  # Armillary's source, as far as pages copy from it
        (folder / "armillary/applibs").symlink_to(ROOT / "applibs")
        left_out = ("ARMILLARY_", "XDG_")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(left_out)},
            "HOME": str(folder), "PATH": f"{programs}:{os.environ['PATH']}", "COLUMNS": "120",
        }  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for each in reversed(self.going):
            each.process.end()

    def follow(self, page: str, *, section: str = "", elsewhere: frozenset[str] = frozenset()) -> None:
        """Do what a page says, from its first block to its last.

        Args:
            page: Its path below the repository.
            section: Only the blocks below this heading.
            elsewhere: Files of the page that another test runs.
        """
        for block in blocks_of(page):
            if (section and block.section != section) or block.key in elsewhere or "not run" in block.marks:
                continue
            with located(block):
                self.do(block)

    def do(self, block: Block) -> None:
        """Run, save or check one block."""
        if "Ctrl-C" in block.marks:
            self.end(block.marks["Ctrl-C"])
        if block.kind in COMMANDS:
            for step in steps_of(block):
                self.step(step, numbers_vary="numbers vary" in block.marks)
        elif block.file:
            (self.folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / block.file).write_text(self.known.told(block.text), "utf-8")
        elif "checked as" in block.marks:
            check(block)
        else:
            assert block.kind not in FILES, "neither saved as a file nor checked"
            return
        self.done.append(block.place)

    def step(self, step: Step, *, numbers_vary: bool = False) -> None:
        """Type one command, or wait for what running ones print."""
        command = self.known.told(step.command)
        if not command:
            self.hear(step, numbers_vary=numbers_vary)
            return
        if command.split()[0] in OPTIONAL and shutil.which(command.split()[0]) is None:
            warnings.warn(
                f"not run, there is no {command.split()[0]}; to enable: scripts/install-test-tools", stacklevel=2
            )
            return
        assigned = ASSIGNED.fullmatch(uncommented(command))
        if assigned:
            self.environment[assigned[1]] = self.expanded(assigned[2].strip("\"'"))
        elif command.startswith(GOES_ON):
            self.start(step, command, numbers_vary=numbers_vary)
        elif LOOKS.match(command) and step.output:
            last = [""]

            def met() -> bool:
                last[0] = self.once(step, command, numbers_vary=numbers_vary)
                return not last[0]

            with contextlib.suppress(AssertionError):
                wait_until(met, "what the page shows", LIMIT_S)
            assert not last[0], f"$ {command}\n{last[0]}"
        else:
            wrong = self.once(step, command, numbers_vary=numbers_vary)
            assert not wrong, f"$ {command}\n{wrong}"

    def once(self, step: Step, command: str, *, numbers_vary: bool) -> str:
        """Run a command to its end; what was not as the page says, in words."""
        done = self.run(command)
        printed = done.stdout.replace(ASKED, f"{ASKED}y\n")
        fails = any(re.match(r"error: |ok +no$", line) for line in step.output)
        if (done.returncode != 0) != fails:
            return f"ended with {done.returncode}:\n{printed[-3000:]}"
        if not step.output:
            return ""
        wrong = compared(step.output, printed, self.known, numbers_vary=numbers_vary)
        return f"{wrong}\n-- all of it --\n{printed[-6000:]}" if wrong else ""

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command of ours alone runs in this process, which costs a hundredth; every other one in a shell."""
        if command.startswith("armillary ") and not SHELL.search(command):
            return self.here(shlex.split(self.expanded(command), comments=True)[1:])
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            input="y\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )

    def here(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(os, "environ", os.environ)
            for name in set(os.environ) - set(self.environment):
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO("y\n"))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                try:
                    run(arguments)
                except SystemExit as ended:
                    code = int(ended.code or 0)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), "")

    def expanded(self, text: str) -> str:
        """With the values of variables that were assigned before."""
        return string.Template(text).safe_substitute(self.environment)

    def start(self, step: Step, command: str, *, numbers_vary: bool) -> None:
        """Start a command that goes on; one that goes on already is what the page means."""
        given, command = uncommented(step.command), uncommented(command)
        if any(each.command == given and each.process.poll() is None for each in self.going):
            return
        if command.startswith("armillary up"):
            command += "".join(
                f" {option} {self.known.fixed[port]}"
                for port, option in PORTS.items()
                if option and option not in command
            )
        process = OwnProcess(
            ["/bin/sh", "-c", f"exec {command} 2>&1"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            limit_s=None,
        )
        going = Going(given, process)
        self.going.append(going)
        threading.Thread(target=lambda: going.lines.extend(iter(process.stdout.readline, "")), daemon=True).start()  # type: ignore[union-attr]
        shown = step.output or (("token  arm_…",) if command.startswith("armillary up") else ("…",))
        self._until(going, shown, numbers_vary=numbers_vary)

    def hear(self, step: Step, *, numbers_vary: bool) -> None:
        """Wait until one of the running commands has printed what the page shows."""
        running = [each for each in self.going if each.process.poll() is None]
        assert running, "nothing runs that could print this"

        wrong = [""]

        def met() -> bool:
            wrong[0] = ""
            for each in running:
                lines = each.lines[each.seen :]
                said, read = in_order(step.output, lines, self.known, numbers_vary=numbers_vary)
                if not said:
                    each.seen += read
                    wrong[0] = ""
                    return True
                wrong[0] += f"$ {each.command}\n{said}\n-- since the last that was shown --\n{''.join(lines)}"
            return False

        with contextlib.suppress(AssertionError):
            wait_until(met, "what the page shows", LIMIT_S)
        assert not wrong[0], wrong[0]

    def _until(self, going: Going, shown: Any, *, numbers_vary: bool) -> None:
        wrong = [""]

        def met() -> bool:
            assert going.process.poll() is None, f"$ {going.command}\nended:\n{''.join(going.lines)[-3000:]}"
            wrong[0], going.seen = in_order(shown, going.lines, self.known, numbers_vary=numbers_vary)
            return bool(going.lines) and not wrong[0]

        with contextlib.suppress(AssertionError):
            wait_until(met, "what the page shows", START_LIMIT_S)
        assert going.lines, f"$ {going.command}\nprinted nothing"
        assert not wrong[0], f"$ {going.command}\n{wrong[0]}\n-- all of it --\n{''.join(going.lines)[-5000:]}"

    def end(self, command: str) -> None:
        """Ctrl-C in the terminal of a running command."""
        (going,) = (each for each in self.going if each.command == command and each.process.poll() is None)
        going.process.send_signal(2)
        going.process.wait(LIMIT_S)
        going.process.end()


def uncommented(command: str) -> str:
    return re.sub(r"\s+#.*", "", command)


@contextlib.contextmanager
def located(block: Block) -> Iterator[None]:
    """What fails in a block says which one."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{block.place}: {error}") from None
