# SPDX-License-Identifier: Apache-2.0
"""What of /proc is about the whole machine or the first process is covered, whatever Landlock says of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import Stage, linux

from armillary.capability.layout import hidden
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.start.plan import StartPlan

LOOKS = """
import errno, json, os
def tried(call):
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno]
asked = json.loads(os.environ["PLACES"])
table = [line.split() for line in open("/proc/self/mountinfo")]
found = {
    "files": {path: tried(lambda: open(path, "rb").read(1).hex()) for path in asked["files"]},
    "folders": {path: tried(lambda: len(os.listdir(path))) for path in asked["folders"]},
    "made": {path: tried(lambda: os.mkdir(path + "/x")) for path in asked["folders"]},
    "lacking": sorted({
        flag
        for line in table if line[4] in asked["files"] + asked["folders"]
        for flag in ("ro", "nosuid", "nodev") if flag not in line[5].split(",")
    }),
}
print(json.dumps(found))
"""
PLACES = hidden(host.runtime())


class Unruled(LinuxSandbox):
    """Without Landlock, which would refuse most of it before the mounts are asked; ``changed`` as asked for."""

    changed: dict[str, Any]

    def plan(self, *arguments: Any) -> StartPlan:
        plan = super().plan(*arguments)
        return dataclasses.replace(plan, configure=lambda: plan.configure() | {"landlock": None} | self.changed)


def looked(stage: Stage, *, own_user: bool, **changed: Any) -> dict[str, Any]:
    known = linux(own_user=own_user)
    sandbox = Unruled(known.bubblewrap, known.own_user)
    sandbox.changed = changed
    outcome = stage.run(sandbox, LOOKS, environment={"PLACES": json.dumps(PLACES)})
    return dict(json.loads(outcome.lines[-1]))


@pytest.mark.parametrize("own_user", [True, False], ids=["as-root", "as-user"])
def test_nothing_covered_is_opened_listed_or_written(stage: Stage, own_user: bool) -> None:
    """Root's launcher covers it, for a user bubblewrap does: the same is seen."""
    found = looked(stage, own_user=own_user)
    assert found["files"] == dict.fromkeys(PLACES["files"], "EACCES")
    assert found["folders"] == dict.fromkeys(PLACES["folders"], 0)
    assert found["made"] == dict.fromkeys(PLACES["folders"], "EROFS")
    assert found["lacking"] == []


def test_it_is_there_to_be_covered(stage: Stage) -> None:
    """The positive control: uncovered, most of it tells something."""
    found = looked(stage, own_user=True, hidden=None)
    assert sum(said not in ("", "EACCES", "EPERM") for said in found["files"].values()) > 3
    assert found["folders"]["/proc/sys"] > 3
