# SPDX-License-Identifier: Apache-2.0
"""A start of the device image loads its modules from one file, as if each came from its own."""

from __future__ import annotations

import _sre
import dataclasses
import json
import marshal
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.source_code import SOURCE

from armillary.device.machine import start
from armillary.device.machine.start import METHODS_MODULE, open_bundle
from armillary.device_image.start.bundle import methods_source
from armillary.device_image.start.recording import Recorded

CLASS = """
import dataclasses
from dataclasses import dataclass

@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
"""
# What dataclasses compile for it, as an interpreter of this version does.
RECORD = """
import dataclasses, json, sys
texts = []
def execute(text, names, into):
    texts.append(text)
    exec(text, names, into)
dataclasses.exec = execute
exec(sys.argv[1])
print(json.dumps(texts))
"""


def write(place: Path, modules: dict[str, tuple[str, str]]) -> None:
    """A file of these modules: name -> kind and source."""
    lines, codes, at = [], [], 0
    for name, (kind, source) in modules.items():
        code = marshal.dumps(compile(source, f"/kept/{name}.py", "exec"))
        lines.append(f"{name}\t{kind}\t{at}\t{len(code)}\t/kept/{name.replace('.', '/')}.py")
        codes.append(code)
        at += len(code)
    place.write_bytes("\n".join(lines).encode() + b"\n\n" + b"".join(codes))


def run(code: str, *arguments: str) -> str:
    """Run it in an interpreter of its own: what is loaded there stays there."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_modules_and_packages_come_from_the_file_and_others_from_where_they_are(tmp_path: Path) -> None:
    place = tmp_path / "start.code"
    modules = {"kept": (start.PACKAGE, "value = 1"), "kept.part": (start.MODULE, "import colorsys\nvalue = 2")}
    write(place, modules)
    said = run(
        "import sys\nfrom armillary.device.machine.start import open_bundle\n"
        f"sys.meta_path.insert(len(sys.meta_path) - 1, open_bundle({str(place)!r}))\n"
        "import kept.part, colorsys\n"
        "print(kept.value, kept.part.value, kept.__path__, kept.part.__file__, colorsys.__file__ != kept.part.__file__)"
    )
    assert said.split() == ["1", "2", "['/kept']", "/kept/kept/part.py", "True"]


def test_there_is_nothing_without_a_file_or_with_one_that_is_cut_off(tmp_path: Path) -> None:
    assert open_bundle(str(tmp_path / "missing")) is None
    place = tmp_path / "cut"
    place.write_bytes(b"name\tmodule\t0\t10\t/name.py\n")
    assert open_bundle(str(place)) is None


@pytest.mark.parametrize("is_known", [True, False])
def test_a_dataclass_is_the_same_whether_its_methods_are_kept_or_compiled(tmp_path: Path, *, is_known: bool) -> None:
    texts = [text for text in json.loads(run(RECORD, CLASS)) if is_known]
    place = tmp_path / "start.code"
    library = Path(dataclasses.__file__).read_text("utf-8")
    modules = {
        "dataclasses": (start.MODULE, library),
        METHODS_MODULE: (start.MODULE, methods_source(Recorded(texts=tuple(texts)))),
    }
    write(place, modules)
    said = run(
        "import builtins, sys\nfrom armillary.device.machine.start import open_bundle\n"
        "sys.modules.pop('dataclasses', None)\n"
        f"sys.meta_path.insert(0, open_bundle({str(place)!r}))\n"
        "import dataclasses\ncompiled = []\n"
        "real = builtins.exec\n"
        "def count(text, *more):\n    compiled.append(text)\n    real(text, *more)\n"
        "builtins.exec = count\n"
        "shape = sys.modules['shape'] = type(sys)('shape')\nnames = shape.__dict__\n"
        f"real({CLASS!r}, names)\n"
        "point = names['Point'](1)\n"
        "print(len(compiled), point, point == names['Point'](1, 2), hash(point) == hash((1, 2)))\n"
        "print(names['Point'].__init__.__qualname__, names['Point'].__init__.__globals__ is names)\n"
        "try:\n    point.x = 3\nexcept dataclasses.FrozenInstanceError as error:\n    print(error)"
    )
    compiled, text = said.split(" ", 1)
    assert (compiled == "0") is is_known
    assert text.splitlines() == [
        "Point(x=1, y=2) True True",
        "Point.__init__ True",
        "cannot assign to field 'x'",
    ]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_pattern_is_the_same_whether_its_code_is_kept_or_compiled(tmp_path: Path, *, is_known: bool) -> None:
    """What is kept for another engine, as for another version of Python, is not used."""
    place = tmp_path / "start.code"
    pattern = r"(?P<word>[a-z]+)-(\d{2,})"
    made = "(0, (1,), 0, {}, (None,))"  # no such code: who uses it is seen
    engine = repr((_sre.MAGIC, _sre.MAXREPEAT, _sre.MAXGROUPS + (not is_known)))
    recorded = Recorded(patterns={repr((pattern, 0)): made}, engine=engine)
    library = Path(re._compiler.__file__).read_text("utf-8")  # type: ignore[attr-defined]
    modules = {"re._compiler": (start.MODULE, library), METHODS_MODULE: (start.MODULE, methods_source(recorded))}
    write(place, modules)
    said = run(
        "import sys\nfrom armillary.device.machine.start import open_bundle\n"
        "for name in [each for each in sys.modules if each == 're' or each.startswith('re.')]:\n    del sys.modules[name]\n"
        f"sys.meta_path.insert(0, open_bundle({str(place)!r}))\nimport re\n"
        f"print(re.compile('other (x)').match('other x')[1], re.compile({pattern!r}).groups)"
    )
    assert said.split() == ["x", "0" if is_known else "2"]
