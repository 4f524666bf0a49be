# SPDX-License-Identifier: Apache-2.0
"""What a guardian's image holds is all that it imports: no package of this machine, nothing of the service's world."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import armillary
from armillary.content import guardian_image
from armillary.content.guardian_image import MODULES, NOT_PACKED, ROOMS

ROOT = Path(armillary.__file__).parent
# Libraries beside the standard one, each with the only modules that may import it at module level.
FOREIGN = {
    "cryptography": ("engines/equipment/opcua",),
    "asyncua": ("engines/equipment/opcua",),
    "bacpypes3": ("engines/equipment/bacnet",),
    "paho": ("guardian/hub/connection.py",),
}
# Rooms that are packed, and what of the rest of Armillary they may name.
PACKED = (*(f"armillary.{room.replace('/', '.')}" for room in ROOMS), "armillary.errors")


def modules() -> list[Path]:
    found = [ROOT / each for each in MODULES]
    for room in ROOMS:
        found += (ROOT / room).rglob("*.py")
    return [each for each in found if str(each.relative_to(ROOT)) not in NOT_PACKED]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_packed_module_imports_only_what_is_packed(path: Path):
    place = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            top = name.partition(".")[0]
            if top == "armillary":
                assert name.startswith(PACKED), f"{place} imports {name}, which no image has"
            elif top in FOREIGN:
                assert place.startswith(FOREIGN[top]), f"{place} imports {top}"
            else:
                assert top in sys.stdlib_module_names, f"{place} imports {top}"


def test_an_image_runs_on_what_it_holds(tmp_path: Path):
    """The program of an image without equipment, by an interpreter that has no other packages: it names what is missing."""
    files = guardian_image.files(b"{}", {})
    assert not [path for path in files if any(path == f"lib/armillary/{each}" for each in NOT_PACKED)]
    assert sum(map(len, files.values())) < 4 << 20, "no native library is in it"
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    program = [sys.executable, "-I", "-S", str(tmp_path / "bin/app")]
    settings = {"ARMILLARY_DATA": str(tmp_path), "ARMILLARY_DEVICE_ID": "d"}
    done = subprocess.run(program, env=settings, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "the member 'equipment'" in done.stdout
