# SPDX-License-Identifier: Apache-2.0
"""What is packed for a guardian's links is all that they import, and comes compiled."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from armillary.content import guardian_image
from armillary.content.guardian_libraries import (
    CHANGED_NOTICE,
    LEFT_OUT,
    LINK_LIBRARIES,
    compiled,
    for_client,
    libraries_of,
    with_compiled,
)
from armillary.wire.equipment.faults import LinkLibraryMissingError
from armillary.wire.equipment.profile import BacnetIp, FramedSerial, ModbusTcp, OpcUa

OPCUA, BACNET = OpcUa(url="opc.tcp://10.9.0.2:4840"), BacnetIp(host="10.9.0.2")
LINKS = {"opcua": OPCUA, "bacnet": BACNET}
# Import a link as the program of an image does, and tell from where each module came that is not the interpreter's.
PROBE = """
import sys
sys.path.insert(0, {lib!r})
import armillary.engines.equipment.{link}
import json, sysconfig
found = [module.__spec__ for module in sys.modules.values() if getattr(module, "__spec__", None)]
print(json.dumps([each.cached for each in found
    if (each.origin or "").endswith(".py") and not each.origin.startswith(sysconfig.get_path("stdlib"))]))
"""


def test_only_links_that_need_them_bring_libraries() -> None:
    assert libraries_of([ModbusTcp(host="10.9.0.2"), FramedSerial(port="UART1")]) == ()
    assert libraries_of([OPCUA, BACNET, OPCUA]) == LINK_LIBRARIES[OpcUa] + LINK_LIBRARIES[BacnetIp]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_runs_on_what_its_image_holds(tmp_path: Path, link: str) -> None:
    files = guardian_image.files(b"{}", {}, libraries=libraries_of([LINKS[link]]))
    assert not any(path.startswith(tuple(f"lib/{left_out}" for left_out in LEFT_OUT)) for path in files)
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    probe = PROBE.format(lib=str(tmp_path / "lib"), link=link)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", probe], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    compiled_files = [Path(path) for path in json.loads(done.stdout)]
    assert len(compiled_files) > 50
    for path in compiled_files:
        assert path.is_relative_to(tmp_path), path
        assert path.is_file(), path


def test_of_opcua_comes_what_a_client_uses_and_its_change_is_said() -> None:
    names, package = "lib/asyncua/ua/object_ids.py", "lib/asyncua/__init__.py"
    given = {
        package: b"from .client import Client\nfrom .server import Server\n",
        names: b"class ObjectIds:\n    RootFolder = 84\n    Sail = 9\n\nObjectIdNames = {}\n"
        b"ObjectIdNames[84] = 'RootFolder'\nObjectIdNames[9] = 'Sail'\n",
        "lib/armillary/browse.py": b"ObjectIds.RootFolder\n",
        "lib/armillary/words.txt": b"Sail\n",
    }
    found = for_client(given)
    assert found == given | {
        package: CHANGED_NOTICE + b"from .client import Client\n",
        names: CHANGED_NOTICE + b"class ObjectIds:\n    RootFolder = 84\n\nObjectIdNames = {}\n"
        b"ObjectIdNames[84] = 'RootFolder'\n",
    }
    assert for_client({"lib/one.py": b"Sail = 9\n"}) == {"lib/one.py": b"Sail = 9\n"}
    for path, other in ((package, b"from .server import Server as S\n"), (names, b"RootFolder: int = 84\n")):
        with pytest.raises(LinkLibraryMissingError, match="of a version"):
            for_client(given | {path: other})


def test_a_library_that_is_not_installed_is_named() -> None:
    with pytest.raises(LinkLibraryMissingError, match="no-such-library"):
        guardian_image.files(b"{}", {}, libraries=["no-such-library"])


def test_a_compiled_module_is_run_whatever_its_text_says_and_elsewhere_the_text(tmp_path: Path) -> None:
    """The package's signature covers both, so nothing is compared at each start."""
    source = b"value = 1\n"
    files = with_compiled({"lib/one.py": source, "data.txt": b"x"})
    (other,) = set(files) - {"lib/one.py", "data.txt"}
    assert files[other][:4] == MAGIC_NUMBER
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "lib/one.py").write_text("value = 2\n")

    def value() -> str:
        program = f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r}); import one; print(one.value)"
        command = [sys.executable, "-I", "-S", "-B", "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    assert value() == "1"
    (tmp_path / other).rename(tmp_path / other.replace(sys.implementation.cache_tag, "cpython-399"))
    assert value() == "2"


def test_what_is_compiled_names_no_place_of_this_machine() -> None:
    assert str(Path(__file__).parent).encode() not in compiled(b"def f(): pass\n", "lib/one.py")
    assert b"lib/one.py" in compiled(b"def f(): pass\n", "lib/one.py")
