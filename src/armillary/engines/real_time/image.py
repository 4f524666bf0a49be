# SPDX-License-Identifier: Apache-2.0
"""Makes the folder that an emulated core runs from: the emulator, the modules it imports, and one firmware.

The emulator is an application of its own to the sandbox, whose interpreter sees nothing of this installation: what it
imports is put beside it.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Final

import armillary
from armillary.errors import SandboxUnavailableError

ENTRY_POINT: Final = "/bin/core"
LIBRARY: Final = "unicorn"
# Of this package, relative to it. tests/engines/real_time/test_emulated.py holds that nothing else is imported.
MODULES: Final = (
    "engines/real_time/within/core.py",
    "engines/real_time/within/interface.py",
    "engines/real_time/within/mailbox.py",
    "engines/real_time/within/memory_map.py",
    "engines/real_time/within/partners.py",
    "engines/real_time/within/system_control.py",
    "engines/real_time/within/worker.py",
    "errors.py",
    "wire/device/core_fault.py",
    "wire/device/interface/frame.py",
    "wire/image/firmware.py",
)
_START: Final = """#!/usr/bin/env python3
import pathlib
import runpy
import sys

root = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "core"))
sys.argv = ["core", str(root / "core" / "firmware"), *sys.argv[1:]]
runpy.run_module("armillary.engines.real_time.within.worker", run_name="__main__")
"""


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


def make_image(root: Path, firmware: bytes) -> None:
    """Make the folder ``root``, readable by every user and writable by none; what was there is removed.

    Raises:
        SandboxUnavailableError: Unicorn is not installed.
        OSError: the disk refuses.
    """
    library, package = library_folder(), Path(armillary.__file__).parent
    shutil.rmtree(root, ignore_errors=True)
    core = root / "core"
    shutil.copytree(library, core / LIBRARY, ignore=shutil.ignore_patterns("*.a", "*.lib", "*.dll"))
    for module in MODULES:
        place = core / "armillary" / module
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / module, place)
    (core / "firmware").write_bytes(firmware)
    start = root / ENTRY_POINT.removeprefix("/")
    start.parent.mkdir()
    start.write_text(_START)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o444)
    start.chmod(0o555)
