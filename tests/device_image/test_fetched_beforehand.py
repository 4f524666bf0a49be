# SPDX-License-Identifier: Apache-2.0
"""What ``image fetch`` brings is what a build asks for, and no less: both are run, and nothing is fetched or made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.device_image.made_keys import put_pairs

from armillary.device_image import build as building
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.build import Plan, build, fetch_parts
from armillary.device_image.kernel import Kernel
from armillary.device_image.own_kernel import kernel_module
from armillary.device_image.own_kernel.build import KernelBuild
from armillary.device_image.package_sources.fetching import Places
from armillary.device_image.recipe import Pin, recipe_folder
from armillary.device_image.root_image import RootImage
from armillary.device_image.start.recording import Recorded
from armillary.device_image.uboot.image import PROGRAM
from armillary.wire.device_image.command_line import VerifiedRoot

PLACES = Places(archive="http://127.0.0.1:9")
KERNEL = "linux-image-"


class Asked:
    """All that was asked of a network: each package with its architecture, and where from."""

    def __init__(self) -> None:
        self.found: set[tuple[str, ...]] = set()

    def debian(
        self, pins: Sequence[Pin], store: Path, *, architecture: str, places: Places | None = None
    ) -> dict[str, Path]:
        assert places == PLACES
        self.found |= {("debian", str(store), architecture, pin.name) for pin in pins}
        return {pin.name: store / pin.name for pin in pins}

    def python(self, requirements: Mapping[str, str], store: Path, *, architecture: str, **_: object) -> Path:
        self.found |= {("python", str(store), architecture, name) for name in requirements}
        return store

    def uboot(self, cache: Path, places: Places | None) -> None:
        assert places == PLACES
        self.found.add(("uboot", str(cache)))

    def taken(self) -> set[tuple[str, ...]]:
        """All so far; the next is asked anew."""
        found, self.found = self.found, set()
        return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    monkeypatch.setattr(building, "fetch", made.debian)
    monkeypatch.setattr(kernel_module, "fetch", made.debian)
    monkeypatch.setattr(kernel_module, "host_architecture", lambda: "amd64")
    monkeypatch.setattr(building, "fetch_uboot", made.uboot)
    monkeypatch.setattr(building.distributions, "locked", lambda _, names: dict.fromkeys(names, ""))
    monkeypatch.setattr(building.distributions, "install", made.python)
    return made


@pytest.fixture
def making_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every step of a build that makes something gives what is least; those that fetch are as they are."""
    root = RootImage(tmp_path / "root.img", VerifiedRoot("ab" * 32, "cd" * 32, 1), {})
    root.file.touch()

    def write_files(_parts: object, output: Path, **_: object) -> bytes:
        (output / PROGRAM).touch()
        return b""

    def gives(value: object) -> Callable[..., object]:
        return lambda *_given, **_named: value

    steps: dict[object, dict[str, object]] = {
        building: {
            "_stand_ins": {},
            "record": Recorded(),
            "build_kernel": KernelBuild(root.file, root.file, (), "6.12", "ab" * 32, "6.12-1", None),
            "_first_files": b"",
            "_unified": b"",
            "_tree_of_kernel": b"",
            "_disk": None,
            "_state": None,
            "write_document": None,
            "uboot_reference_values": {},
            "package_parts": [],
            "c_library_part": None,
            "bill_of_materials": b"",
            "write_sizes": None,
            "_describe": {},
        },
        building.tools: {"require": None, "lower_priority": None, "versions": {}},
        building.root_tree: {"own_files": {}, "root_tree": None},
        building.root_image: {"remembered": None, "make_root": root, "remember": None, "placed": root},
        building.unified: {"sign": b""},
        building.disk: {"boot_partition": None},
        building.firmware: {"variables": b""},
        kernel_module: {"_compile": b""},
    }
    for module, names in steps.items():
        for name, value in names.items():
            monkeypatch.setattr(module, name, gives(value))
    monkeypatch.setattr(building, "write_files", write_files)
    monkeypatch.setattr(building.kernel, "debian_kernel", lambda package, *_: Kernel(release(package), b"", {}))
    monkeypatch.setattr(building.kernel, "with_modules", lambda chosen, *_given, **_named: chosen)


def release(package: Path) -> str:
    """What the kernel of a package calls itself."""
    return package.name.removeprefix(KERNEL)


def plan_of(folder: Path, architecture: str, **more: Any) -> Plan:
    return Plan(
        recipe_folder=recipe_folder(),
        output=folder / "images" / architecture,
        architecture=architecture,
        places=PLACES,
        **more,
    )


@pytest.mark.usefixtures("making_nothing")
@pytest.mark.parametrize(
    ("architecture", "host", "development"),
    [
        *((each, "x86_64", False) for each in ARCHITECTURES),
        ("x86_64", "arm64", False),
        ("armhf", None, False),
        ("arm64", "x86_64", True),
    ],
)
def test_what_is_fetched_beforehand_is_all_that_a_build_fetches(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: Asked,
    architecture: str,
    host: str | None,
    development: bool,
) -> None:
    monkeypatch.setattr(building, "own_architecture", lambda: host)
    keys = tmp_path / "keys"
    put_pairs(keys, called="Acme DEVELOPMENT {} key" if development else "Acme {} key")
    fetch_parts(plan_of(tmp_path, architecture, development=development))
    beforehand = asked.taken()
    plan = plan_of(tmp_path, architecture, development=development, keys=keys)
    build(plan, at=dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    assert beforehand == asked.taken()
    target = ARCHITECTURES[architecture]
    assert {each[2] for each in beforehand if each[0] == "python"} == {target.root, host} - {None}
    assert (("uboot", str(plan.cache / "uboot")) in beforehand) is not target.has_uefi
    modules = {each[2:] for each in beforehand if each[0] == "debian" and each[3].startswith("linux-kbuild-")}
    assert {each for each, _ in modules} == ({"amd64"} if architecture == "armhf" else set())
    assert any(each[3] == "busybox-static" for each in beforehand if each[0] == "debian") is development
