# SPDX-License-Identifier: Apache-2.0
"""The three guardians' stories on real processes: equipment, guardian in the sandbox, hub; nothing is left running."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest
from tests.e2e.guides.blocks import step_of

from armillary.cli.guardian.demo import STORIES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# The commands of the guides.
COMMANDS = {
    "coffee": step_of("docs/guides/guardian-coffee.md", "armillary guardian demo coffee").command,
    "cable": step_of("docs/guides/guardian-cable.md", "armillary guardian demo cable").command,
    "dispenser": step_of("docs/guides/guardian-dispenser.md", "armillary guardian demo dispenser").command,
}
# Step -> what it must have said.
SAID = {
    "coffee": {
        "shots pulled": r"1[3-9] values of each shot",
        "cleaning and filter predicted": r"due in \d+ s.*alert: Cleaning is due",
        "command out of its range refused": r"refused by rule value, in the audit",
        "recipe pushed to a group by a job": r"to the 2 machines",
        "recipe read back and rolled back": r"12 values; rolled back",
        "control: without a guardian it is done": r"boiled dry",
    },
    "dispenser": {
        "compliance by ward": r"Ward East \d+ %, Ward West \d+ %",
        "nobody is named": r"staffName is refused",
        "a night without a network": r"each in the hub, none twice",
    },
    "cable": {
        "every point live": r"134 points",
        "damage heard of and located": r"after [01]\.\d+ s.*cm off",
        "nothing is ever written": r"no write is on the allow-list",
    },
}


@pytest.mark.long
@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_played_to_its_end_and_leaves_nothing_running(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(COMMANDS[name]), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    summary = json.loads(done.stdout)
    assert [step for step in summary["steps"] if not step["ok"]] == []
    assert [step["name"] for step in summary["steps"]] == [each for each, _ in STORIES[name].scenes]
    assert (summary["ok"], done.returncode) == (True, 0)
    told = {step["name"]: step["detail"] for step in summary["steps"]}
    for step, said in SAID[name].items():
        assert re.search(said, told[step]), (step, told[step])
    left = subprocess.run(
        ["pgrep", "-f", f"armillary-{name}-"], capture_output=True, text=True, check=False
    ).stdout.split()
    assert left == [], f"processes of the story still run: {left}"


def test_a_story_that_is_not_there_names_those_that_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "armillary", "guardian", "demo", "kettle"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Use one of: coffee, dispenser, cable." in done.stderr
