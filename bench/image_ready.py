# SPDX-License-Identifier: Apache-2.0
"""How long after the first program began the device process of the x86-64 image is ready, in QEMU without KVM.

It measures the image that ``make image`` built, and nothing where there is none. The machine says the time itself: once
as a machine that is no device yet, at its first start; and as a device that a service of its own has enrolled, at later
starts, with its boot chain verified and its sandbox tested. "Ready" means that the device process serves: a machine
that is no device waits to be told whose it is; a device starts applications and checks in next. A start of a device
counts only if its sandbox is complete by then and it is attested afterwards: one that waits for its sandbox is ready
for no application.

Seconds depend on what else the host does. The processor seconds that QEMU took from the verified root on do so less.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from armillary.cli.device_image.trial_service import TrialService
from armillary.device_image.virtual_machine import DISK, READY, MachineSettings, VirtualMachine, prepare, running
from armillary.errors import HostError
from bench.result import result
from bench.service_process import cpu_seconds

LIMIT_S: Final = 6.0
ROUNDS: Final = 3
IMAGE: Final = Path(__file__).parent.parent / ".image/x86_64"
_WITHIN_S: Final = 300.0
_SECONDS: Final = re.compile(rf"{READY} ([0-9.]+) s")
_ROOT: Final = "armillary: slot "
_CHECKED_IN: Final = "check-in  verdict="
_ATTESTED: Final = f"{_CHECKED_IN}attested"
_SANDBOX: Final = "sandbox=linux  complete=True"


class Start(NamedTuple):
    """Seconds from the first program to ready, and processor seconds of QEMU from the verified root on."""

    ready_s: float
    processor_s: float


def run() -> list[dict[str, object]]:
    """Boot the image several times, as both; the median of what the machine says against the limit."""
    if not (IMAGE / DISK).exists():
        print("image-ready: no image was built (make image); nothing is measured", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        new = [_first_start(Path(folder) / str(number)) for number in range(ROUNDS)]
        device = _starts_of_device(Path(folder) / "device")
    return [
        *_results("image-ready", new, "not enrolled, first starts"),
        *_results("image-ready-device", device, "a device"),
    ]


def _results(name: str, starts: list[Start], what: str) -> list[dict[str, object]]:
    conditions = f"x86-64 image in QEMU's emulation (q35, 2 processors), {what}, median of {len(starts)}"
    ready_s = statistics.median(each.ready_s for each in starts)
    processor_s = statistics.median(each.processor_s for each in starts)
    return [
        result(name, ready_s, "s", ("limit", LIMIT_S), conditions),
        result(f"{name}-processor", processor_s, "s", ("two processors until the limit", 2 * LIMIT_S), conditions),
    ]


def _first_start(folder: Path) -> Start:
    with running(MachineSettings(folder=folder, image=IMAGE)) as machine:
        return _start(machine)[0]


def _starts_of_device(folder: Path) -> list[Start]:
    """Enrol a machine, then start it again and again."""
    folder.mkdir()
    settings = MachineSettings(folder=folder / "machine", image=IMAGE, enrolment=folder / "enrolment.json")
    prepare(settings)
    service = TrialService(folder / "service", IMAGE)
    try:
        service.start()
        service.prepare(settings.folder, folder / "enrolment.json")
        with running(settings) as machine:
            _require_attested(machine)
        starts = []
        for _ in range(ROUNDS):
            with running(settings) as machine:
                starts.append(start_of_device(machine))
        return starts
    finally:
        service.close()


def _start(machine: VirtualMachine) -> tuple[Start, list[str]]:
    """A start, and what was said until the machine was ready."""
    root, before = machine.wait_for(_ROOT, within_s=_WITHIN_S)
    begun_s = cpu_seconds(machine.process_id)
    line, after = machine.wait_for(READY, within_s=_WITHIN_S if root else 0.0)
    seen = [*before, *after]
    return Start(ready_seconds(line or "", seen), cpu_seconds(machine.process_id) - begun_s), seen


def start_of_device(machine: VirtualMachine) -> Start:
    """A start of a device; HostError if its sandbox was not complete when it was ready, or it is not attested."""
    start, seen = _start(machine)
    if not any(_SANDBOX in line for line in seen):
        said = [line for line in seen if "  sandbox  " in line]
        raise HostError(
            f"the device was ready without its sandbox: expected {_SANDBOX}, got {said[-1:]}",
            remedy="Measure again where less else is done; if it stays, look at it: armillary device boot.",
        )
    _require_attested(machine)
    return start


def _require_attested(machine: VirtualMachine) -> None:
    line, seen = machine.wait_for(_CHECKED_IN, within_s=_WITHIN_S)
    if _ATTESTED not in (line or ""):
        raise HostError(f"the machine was not attested: {seen[-1:]}", remedy="Look at it: armillary device boot.")


def ready_seconds(line: str, seen: list[str]) -> float:
    """The seconds in a line of the console; HostError with the last of what was seen where it says none."""
    found = _SECONDS.search(line)
    if found is None:
        raise HostError(f"the image did not become ready: {seen[-1:]}", remedy="Look at it: armillary device boot.")
    return float(found[1])
