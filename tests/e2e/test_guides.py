# SPDX-License-Identifier: Apache-2.0
"""README's 60 seconds and two guides, followed to the letter: each command of their pages is run as it stands.

Addresses and ids of the pages are samples. What a command prints beside a sample's name takes the sample's place in the
commands that follow, as a reader does it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.processes import OwnProcess
from tests.fixtures.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.long]
ROOT = Path(__file__).parents[2]
COMMAND_LIMIT_S = 60
REPAIR = "9c1f2a70-64b1-4c1e-9f50-2f1f8d1f5b33"  # as the guide calls the repaired image
PORTS = {"api": "--api-port", "device": "--device-port", "hub": "--hub-port"}
# What stands for something else on a page: an id, the start of a long one, or the address of the service.
SAMPLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{12,128}|https://localhost:\d+")


@dataclass
class Step:
    """A command of a page and the output that the page shows for it."""

    command: str
    output: list[str] = field(default_factory=list)


def steps(page: Path, *, section: str) -> list[Step]:
    """The commands of the console blocks of a page, from a heading on to the next of its level."""
    text = page.read_text("utf-8")
    begun = text[text.index(section) :]
    level = section.split(" ", 1)[0] + " "
    end = begun.find(f"\n{level}", 1)
    found: list[Step] = []
    for block in re.findall(r"```console\n(.*?)```", begun if end < 0 or level == "# " else begun[:end], re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(re.sub(r"\s+#\s.*", "", line[2:])))
            elif found:
                found[-1].output.append(line)
    return found


class Reader:
    """Somebody who types a page's commands, in one folder and one environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[str, str] = {"TOKEN": "", "arm_…": "", "VERIFIER": ""}
        self.running: list[OwnProcess] = []
        self.printed: dict[str, list[str]] = {}
        home = folder / "home"
        home.mkdir()
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "armillary").write_text(f'#!/bin/sh\nexec {sys.executable} -m armillary "$@"\n')
        (bin_folder / "armillary").chmod(0o755)
        left_out = ("ARMILLARY_", "XDG_")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(left_out)},
            "HOME": str(home), "PATH": f"{bin_folder}:{os.environ['PATH']}", "COLUMNS": "120",
        }  # fmt: skip

    def follow(self, step: Step) -> str:
        """Run one command; what it printed. A command that does not end by itself is left running."""
        command = step.command
        for sample in sorted((each for each in self.known if self.known[each]), key=len, reverse=True):
            command = command.replace(sample, self.known[sample])
        if command.startswith("armillary up"):
            return self.start(step, f"{command} " + " ".join(f"{option} 0" for option in PORTS.values()), "token ")
        if command.startswith("armillary device boot"):
            return self.start(step, command, "check-in")
        assigned = re.fullmatch(r"([A-Z_]+)=(\S+)", command)
        if assigned:
            self.environment[assigned[1]] = assigned[2]
            return ""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_LIMIT_S,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        self.learn(step, done.stdout)
        return done.stdout + done.stderr

    def start(self, step: Step, command: str, until: str) -> str:
        process = OwnProcess(
            ["/bin/sh", "-c", f"exec {command} 2>&1"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
        )
        self.running.append(process)
        lines = self.printed.setdefault(command.split(" --", maxsplit=1)[0], [])
        threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True).start()  # type: ignore[union-attr]
        wait_until(lambda: any(until in each for each in lines), f"{command} prints {until!r}", COMMAND_LIMIT_S)
        self.learn(step, "".join(lines))
        return "".join(lines)

    def learn(self, step: Step, printed: str) -> None:
        """Remember what stands for each sample of the page: the value that is printed beside the same name."""
        got = dict(line.split(None, 1) for line in printed.splitlines() if len(line.split(None, 1)) == 2)
        for line in step.output:
            name, _, sample = line.partition(" ")
            found = SAMPLE.search(sample)
            if found and name in got:
                value = SAMPLE.search(got[name])
                stands_for = found[0][:12] if len(found[0]) > 36 or "…" in sample else found[0]
                self.known[stands_for] = value[0] if value else got[name].strip()
        if "verifier_key" in got:
            self.known["VERIFIER"] = got["verifier_key"].strip()
        if "token" in got:
            self.known["TOKEN"] = self.known["arm_…"] = got["token"]
            self.known["https://localhost:8443"] = got["api"]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    made = Reader(tmp_path)
    yield made
    for each in reversed(made.running):
        each.end()


def test_the_readme_ends_at_an_attested_device(reader: Reader) -> None:
    followed = [each for each in steps(ROOT / "README.md", section="## 60 seconds") if "armillary " in each.command]
    assert [each.command.split()[1] for each in followed[:2]] == ["up", "login"]
    for step in followed:
        said = reader.follow(step)
    assert "armillary device boot" in step.command
    assert "verdict=attested" in said
    used = reader.follow(Step("armillary template use connected-waste-management"))
    assert re.search(r"Look at it: https://localhost:\d+/dashboards/waste-operations\n", used)


def confirmed(reader: Reader, count: int) -> None:
    """Wait until the device of the guides has confirmed so many updates."""
    lines = reader.printed["armillary device boot"]
    wait_until(
        lambda: sum("update-confirmed" in each for each in lines) >= count,
        f"{count} updates confirmed",
        COMMAND_LIMIT_S,
    )


def is_read(reader: Reader, image: str) -> bool:
    """Whether the service has read what an image of the page is made of, and knows nothing against it."""
    coverage = reader.follow(Step("armillary advisory coverage")).splitlines()
    return any("none-known" in line and reader.known[image] in line for line in coverage)


def first_guide(reader: Reader) -> tuple[list[Step], dict[str, str]]:
    """Follow the first guide; its steps, and what each printed."""
    followed = steps(ROOT / "docs" / "guides" / "first-device.md", section="# Your first device")
    said: dict[str, str] = {}
    for step in followed:
        said[step.command] = reader.follow(step)
        if step.command.startswith("armillary device check-in") and len(said) > 15:
            confirmed(reader, 1)
    return followed, said


def test_the_first_guide_ends_at_a_device_that_answers(reader: Reader) -> None:
    followed, said = first_guide(reader)
    assert len(followed) > 20
    for step in followed:
        shown = [line for line in step.output if line.startswith("(")]
        if shown:
            told: list[Any] = [line for line in said[step.command].splitlines() if line.startswith("(")]
            assert [line.split() for line in shown] == [line.split() for line in told]  # the page has all of it
    assert "relayClosed" in said[followed[-1].command]


def test_the_saturday_guide_ends_at_a_repaired_device_and_a_dossier_that_verifies(reader: Reader) -> None:
    first_guide(reader)
    followed = steps(ROOT / "docs" / "guides" / "exploited-vulnerability.md", section="# An exploited vulnerability")
    said: dict[str, list[str]] = {}
    for step in followed:
        if step.command == "armillary finding list":  # "within a minute"
            wait_until(lambda: "held" in reader.follow(Step("armillary rollout list")), "halted", COMMAND_LIMIT_S)
        if step.command.startswith("armillary action preview"):  # a person is slower than the reading of a bill
            wait_until(lambda: is_read(reader, REPAIR), "the bill of the repair read", COMMAND_LIMIT_S)
        said.setdefault(step.command, []).append(reader.follow(step))
        if step.command.startswith("armillary device check-in"):
            confirmed(reader, 2)
            reader.follow(step)
    before, after = said["armillary advisory show CVE-2026-00000"]
    assert re.search(r'"affected": 1', before)
    assert not re.search(r'"affected"', after)
    assert re.search(r'"fixed": 1', after)
    assert "patched_percent     100" in after
    assert "critical" in said["armillary finding list"][0]
    assert re.search(r"done +halt", said["armillary action list --state all"][0])
    (draft,) = (said[each][0] for each in said if " case draft " in each)
    assert "[ABSENT]" not in draft
    (verified,) = (said[each][0] for each in said if " dossier verify " in each)
    assert "present" in verified
