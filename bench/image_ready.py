# SPDX-License-Identifier: Apache-2.0
"""How long after the first program began the device process of the x86-64 image is ready, in QEMU without KVM.

It measures the image that ``make image`` built, and nothing where there is none. The machine says the time itself. It
is no device: the boot chain and the sandbox's self-test come on top, as ``make image-test`` prints it.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

from armillary.device_image.virtual_machine import DISK, READY, MachineSettings, running
from armillary.errors import HostError
from bench.result import result

LIMIT_S: Final = 6.0
ROUNDS: Final = 3
IMAGE: Final = Path(__file__).parent.parent / ".image/x86_64"
_WITHIN_S: Final = 300.0
_SECONDS: Final = re.compile(rf"{READY} ([0-9.]+) s")


def run() -> list[dict[str, object]]:
    """Boot the image several times; the median of what the machine says against the limit."""
    if not (IMAGE / DISK).exists():
        print("image-ready: no image was built (make image); nothing is measured", file=sys.stderr)
        return []
    value = statistics.median(_boot() for _ in range(ROUNDS))
    conditions = f"x86-64 image in QEMU's emulation (q35, 2 processors), not enrolled, median of {ROUNDS} first starts"
    return [result("image-ready", value, "s", ("limit", LIMIT_S), conditions)]


def _boot() -> float:
    with (
        tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder,
        running(MachineSettings(folder=Path(folder) / "machine", image=IMAGE)) as machine,
    ):
        line, seen = machine.wait_for(READY, within_s=_WITHIN_S)
    return ready_seconds(line or "", seen)


def ready_seconds(line: str, seen: list[str]) -> float:
    """The seconds in a line of the console; HostError with the last of what was seen where it says none."""
    found = _SECONDS.search(line)
    if found is None:
        raise HostError(f"the image did not become ready: {seen[-1:]}", remedy="Look at it: armillary device boot.")
    return float(found[1])
