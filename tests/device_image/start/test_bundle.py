# SPDX-License-Identifier: Apache-2.0
"""What a start loads is found out, and is in the file, of the image's own modules."""

from __future__ import annotations

import _sre
import re
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.source_code import SOURCE

from armillary.device.machine.start import EXTENSION, METHODS_MODULE, MODULE, PACKAGE
from armillary.device_image.start import recording
from armillary.device_image.start.bundle import bundle, methods_source
from armillary.device_image.start.recording import Recorded, record
from armillary.device_image.tools import PATH
from armillary.device_image.tree import Tree

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
has_python = pytest.mark.skipif(
    shutil.which(f"python{VERSION}", path=PATH) is None, reason=f"no python{VERSION} of this host"
)
HEAD = b"pyc." * 4


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return record(python=VERSION, source=SOURCE.parent, distributions=Path(sysconfig.get_path("purelib")))


@has_python
def test_a_start_loads_the_device_and_nothing_that_is_hollow(recorded: Recorded) -> None:
    wanted = {
        "armillary.device.process",
        "armillary.device.machine.first",
        "armillary.engines.root_of_trust.tpm2",
        "aiohttp",
        "dataclasses",
    }
    assert wanted <= set(recorded.modules)
    assert not {"pickle", "urllib.request"} & set(recorded.modules)
    assert recorded.modules.index("armillary.device.machine.program") < recorded.modules.index("aiohttp")


@has_python
def test_what_is_found_out_is_the_same_whatever_the_seed_of_hashes(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of the standard library join patterns of sets: another one at each start."""
    monkeypatch.setattr(recording, "_SEEDS", ("3", "4"))
    again = record(python=VERSION, source=SOURCE.parent, distributions=Path(sysconfig.get_path("purelib")))
    assert again == recorded


@has_python
def test_each_text_that_dataclasses_compile_gives_the_same_code_as_a_function(recorded: Recorded) -> None:
    assert len(recorded.texts) > 100
    found: dict[str, object] = {}
    exec(methods_source(recorded), found)  # noqa: S102 - as the image's build has it compiled
    methods = found["METHODS"]
    assert isinstance(methods, dict)
    assert list(methods) == list(recorded.texts)
    for text, function in methods.items():
        alone: dict[str, object] = {}
        exec(text, alone)  # noqa: S102 - as dataclasses do
        code = alone["__create_fn__"].__code__  # type: ignore[attr-defined]
        kept = function.__code__
        assert (kept.co_code, kept.co_names, kept.co_varnames) == (code.co_code, code.co_names, code.co_varnames)


@has_python
def test_patterns_are_kept_as_they_are_compiled(recorded: Recorded) -> None:
    assert len(recorded.patterns) > 50
    found: dict[str, Any] = {}
    exec(methods_source(recorded), found)  # noqa: S102 - as above
    assert found["ENGINE"] == (_sre.MAGIC, _sre.MAXREPEAT, _sre.MAXGROUPS)
    for (pattern, flags), made in found["PATTERNS"].items():
        all_flags, code, groups, names, numbers = made
        kept = _sre.compile(pattern, all_flags, list(code), groups, dict(names), numbers)
        assert kept == re.compile(pattern, flags), pattern  # equal: of the same flags, code and pattern
        assert kept.groupindex == re.compile(pattern, flags).groupindex


def test_the_file_has_code_in_order_and_names_where_modules_are() -> None:
    tree = Tree()
    files = {
        "lib/plain.pyc": HEAD + b"plain",
        "lib/whole/__init__.pyc": HEAD + b"whole",
        "own/ours/__init__.py": b"text",
        "own/ours/__pycache__/__init__.cpython-313.pyc": HEAD + b"ours",
        "own/ours/part.py": b"text",
        "own/ours/__pycache__/part.cpython-313.pyc": HEAD + b"part",
        "lib/fast.cpython-313-x86_64-linux-gnu.so": b"\x7fELF",
        f"own/{METHODS_MODULE}.pyc": HEAD + b"methods",
    }
    for path, content in files.items():
        tree.file(path, content, component="test")
    made = bundle(tree.entries, ["whole", "sys", "ours.part", "ours", "fast", "plain"], ("lib", "own"))
    head, _, codes = made.partition(b"\n\n")
    rows = [line.split("\t") for line in head.decode().split("\n")]
    assert [(row[0], row[1], row[4]) for row in rows] == [
        (METHODS_MODULE, MODULE, f"/own/{METHODS_MODULE}.pyc"),
        ("whole", PACKAGE, "/lib/whole/__init__.pyc"),
        ("ours.part", MODULE, "/own/ours/part.py"),
        ("ours", PACKAGE, "/own/ours/__init__.py"),
        ("fast", EXTENSION, "/lib/fast.cpython-313-x86_64-linux-gnu.so"),
        ("plain", MODULE, "/lib/plain.pyc"),
    ]
    assert [codes[int(row[2]) : int(row[2]) + int(row[3])] for row in rows] == [
        b"methods",
        b"whole",
        b"part",
        b"ours",
        b"",
        b"plain",
    ]
