# SPDX-License-Identifier: Apache-2.0
"""Makes the folder that the process of a core runs from: its program, the modules it imports, and one firmware.

That process is an application of its own to the sandbox, whose interpreter sees nothing of this installation: what it
imports is put beside it.
"""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import armillary
from armillary.errors import SandboxUnavailableError

ENTRY_POINT: Final = "/bin/core"
LIBRARY: Final = "unicorn"
_SHARED: Final = (
    "engines/real_time/within/interface.py",
    "engines/real_time/within/mailbox.py",
    "engines/real_time/within/memory_map.py",
    "engines/real_time/within/output.py",
    "engines/real_time/within/partners.py",
    "errors.py",
    "wire/device/core_fault.py",
    "wire/device/interface/frame.py",
    "wire/image/firmware.py",
)
_START: Final = """import pathlib
import runpy
import sys

root = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "core"))
sys.argv = ["core", str(root / "core" / "firmware"), *sys.argv[1:]]
runpy.run_module("armillary.engines.real_time.within.PROGRAM", run_name="__main__")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreProgram:
    """What the process of a core runs: a module of ``within`` and all that it imports of this package."""

    name: str
    own_modules: tuple[str, ...]
    needs_library: bool

    @property
    def modules(self) -> tuple[str, ...]:
        """Paths in this package. tests/engines/real_time/test_emulated.py holds that nothing else is imported."""
        return (*_SHARED, *self.own_modules)


EMULATOR: Final = CoreProgram(
    name="worker",
    own_modules=(
        "engines/real_time/within/core.py",
        "engines/real_time/within/system_control.py",
        "engines/real_time/within/worker.py",
    ),
    needs_library=True,
)
BESIDE: Final = CoreProgram(
    name="beside",
    own_modules=(
        "engines/real_time/within/beside.py",
        "engines/real_time/within/channel.py",
        "wire/device/core_channel.py",
    ),
    needs_library=False,
)


def library_folder() -> Path:
    """Where Unicorn is installed.

    Raises:
        SandboxUnavailableError: it is not.
    """
    found = importlib.util.find_spec(LIBRARY)
    if found is None or found.origin is None:
        raise SandboxUnavailableError(
            "this device emulates its real-time cores with unicorn, which is not installed",
            remedy="pip install 'armillary[real-time]'",
        )
    return Path(found.origin).parent


def make_image(root: Path, firmware: bytes, program: CoreProgram) -> None:
    """Make the folder ``root``, readable by every user and writable by none; what was there is removed.

    Raises:
        SandboxUnavailableError: Unicorn is not installed and the program needs it.
        OSError: the disk refuses.
    """
    package = Path(armillary.__file__).parent
    shutil.rmtree(root, ignore_errors=True)
    core = root / "core"
    if program.needs_library:
        shutil.copytree(library_folder(), core / LIBRARY, ignore=shutil.ignore_patterns("*.a", "*.lib", "*.dll"))
    for module in program.modules:
        place = core / "armillary" / module
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / module, place)
    (core / "firmware").write_bytes(firmware)
    start = root / ENTRY_POINT.removeprefix("/")
    start.parent.mkdir()
    start.write_text(_START.replace("PROGRAM", program.name))
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o444)
    start.chmod(0o555)
