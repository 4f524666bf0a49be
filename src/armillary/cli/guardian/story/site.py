# SPDX-License-Identifier: Apache-2.0
"""The stage of a guardian's story: the service, a device, and simulated equipment on its wires."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armillary.cli.story.service_process import end
from armillary.cli.story.stage import Stage
from armillary.errors import HostError

GUARDIAN = "guardian"  # the device of every such story
# Seconds between check-ins: with each there is a new client certificate, and equipment must not wait for that.
CHECK_IN_INTERVAL_S = 3
# Its applications may be as large as a guardian's image.
CHIP = "imx8mp"
# What befalls equipment while somebody looks at it after a story, and how often.
USES = {"coffee": "brew", "dispenser": "visit 3"}
USED_EVERY_S = 8.0


@dataclass(slots=True)
class EquipmentOnStage:
    """A piece of simulated equipment: what it is, its process, and where it has said to be."""

    machine: str
    process: subprocess.Popen[str]
    place: dict[str, Any] = field(default_factory=dict)  # empty until it was said


@dataclass(slots=True)
class Site(Stage):
    """A stage with equipment by the name of its module."""

    equipment: dict[str, EquipmentOnStage] = field(default_factory=dict)

    def begin_equipment(self, name: str, machine: str, *options: str) -> None:
        """Start a simulated machine; :meth:`where` waits until it says where it is."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
                [sys.executable, "-m", "armillary", "sim", "equipment", machine, "--json", *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.equipment[name] = EquipmentOnStage(machine, process)

    def where(self, name: str) -> dict[str, Any]:
        """``port`` of a machine's line, or its ``host`` and ``port``. Raises HostError if it has ended."""
        machine = self.equipment[name]
        if not machine.place:
            machine.place = self._said(name)
        return machine.place

    def tell(self, name: str, line: str) -> dict[str, Any]:
        """Tell a machine what befalls it; what it answers. Raises HostError if it does not understand."""
        self.where(name)  # What it says first is that
        process = self.equipment[name].process
        if process.stdin is None:
            raise HostError(f"{name} does not listen", remedy="Run the demo again.")
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        answer = self._said(name)
        if "error" in answer:
            raise HostError(f"{name}: {answer['error']}", remedy=answer["remedy"])
        return answer

    def _said(self, name: str) -> dict[str, Any]:
        process = self.equipment[name].process
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            why = (self.folder / f"{name}.log").read_text("utf-8", "replace").strip()
            raise HostError(f"{name} has ended: {why}", remedy="Run the demo again.")
        found: dict[str, Any] = json.loads(line)
        return found

    def linger(self) -> None:
        """Go on after the story: somebody uses the equipment now and then."""
        while True:
            for name, each in self.equipment.items():
                if each.machine in USES:
                    self.tell(name, USES[each.machine])
            time.sleep(USED_EVERY_S)

    def close(self) -> None:
        """End every process, those of the equipment too."""
        Stage.close(self)
        for each in self.equipment.values():
            end(each.process)
        self.equipment.clear()


def made_in(folder: Path) -> Site:
    """An empty stage."""
    return Site(folder, check_in_interval_s=CHECK_IN_INTERVAL_S, chip=CHIP)
