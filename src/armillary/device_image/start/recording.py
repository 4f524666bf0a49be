# SPDX-License-Identifier: Apache-2.0
"""What a start loads: found out by loading it, on the host that builds, with the image's Python packages.

The order of modules, and what dataclasses compile, are the same on every architecture; so this host's packages tell
them for an image of another one, too. Nothing but this order and these texts comes from the host: all code is the
image's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.tools import run

# Loads what process 1 and the device process load, as device/machine/program.py does, and says what was loaded.
_RECORDER: Final = """
import re._compiler, sys
sys.path[:0] = sys.argv[1:]
texts, patterns = set(), {}
compiles, engine = re._compiler.compile, re._compiler._sre
class Engine:
    def __getattr__(self, name):
        return getattr(engine, name)
    def compile(self, pattern, flags, code, groups, names, numbers):
        self.made = flags, tuple(map(int, code)), groups, dict(names), numbers
        return engine.compile(pattern, flags, code, groups, names, numbers)
def compile_and_keep(pattern, flags=0):
    made = compiles(pattern, flags)
    patterns[repr((pattern, int(flags)))] = repr((int(recording.made[0]), *recording.made[1:]))
    return made
recording = re._compiler._sre = Engine()
re._compiler.compile = compile_and_keep
import dataclasses, json
def execute(text, names, into):
    texts.add(text)
    exec(text, names, into)
dataclasses.exec = execute
import armillary.device.machine.program
import armillary.device.machine.first
from armillary.device.loading import UNUSED, hollow, no_authorities
with no_authorities(), hollow(*UNUSED):
    import armillary.device.machine.beforehand
    import armillary.device.boot.sandbox_test
    import armillary.device.machine.being
    import armillary.engines.root_of_trust.tpm2
about = repr((engine.MAGIC, int(engine.MAXREPEAT), int(engine.MAXGROUPS)))
print(json.dumps({"modules": list(sys.modules), "texts": sorted(texts), "patterns": patterns, "engine": about}))
"""
_SEEDS: Final = ("1", "2")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Names of modules in the order in which they were loaded, and what was compiled meanwhile.

    ``texts`` are those of dataclasses, sorted. ``patterns`` are regular expressions and what became of them, as
    Python's text, for an ``engine``: (pattern, flags) -> flags, code, number of groups, their numbers, their names.
    """

    modules: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    patterns: Mapping[str, str] = field(default_factory=dict)
    engine: str = "None"


def own_architecture() -> str | None:
    """The architecture of this host, as images are called; None if there are none of it."""
    machine = os.uname().machine
    return next((each.root for each in ARCHITECTURES.values() if each.machine == machine), None)


def record(*, python: str, source: Path, distributions: Path) -> Recorded:
    """Load what a start loads. ``distributions`` are the image's Python packages for this host, ``source`` has ours.

    It is loaded with two seeds of hashes, as no two starts have the same: a pattern that is joined of a set is another
    one each time, and of no use to keep.

    Raises:
        HostError: it does not load.
    """
    one, other = (_recorded(python, source, distributions, seed) for seed in _SEEDS)
    both = one["patterns"].items() & other["patterns"].items()
    return Recorded(tuple(one["modules"]), tuple(one["texts"]), dict(sorted(both)), one["engine"])


def _recorded(python: str, source: Path, distributions: Path, seed: str) -> dict[str, Any]:
    # As -I does, but for the seed, which is a variable: the programs of a build get no others.
    words = [f"python{python}", "-P", "-s", "-S", "-B", "-c", _RECORDER, str(source), str(distributions)]
    found: dict[str, Any] = json.loads(run(words, environment={"PYTHONHASHSEED": seed}))
    return found
