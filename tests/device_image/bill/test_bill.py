# SPDX-License-Identifier: Apache-2.0
"""The bill of an image has what is inside for each architecture and kernel, by the names that advisories have for it.

Nothing is fetched or compiled: what Debian says of its packages is written down here as ``dpkg-deb`` says it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from armillary.advisory.match import Index, Matcher
from armillary.device_image import build as building, debian
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.bill import part as parts
from armillary.device_image.bill.document import bill_of_materials
from armillary.device_image.bill.part import Part, c_library_part, package_parts, source_part
from armillary.device_image.build import Plan
from armillary.device_image.debian import Origin, origin_of, read_origin
from armillary.device_image.kernel import Kernel
from armillary.device_image.own_kernel.build import KernelBuild
from armillary.device_image.recipe import Pin, module_pins_file, read_pins, recipe_folder
from armillary.device_image.uboot import source as uboot
from armillary.errors import HostError
from armillary.wire.advisory.osv import Advisory, Affected, Event, Range

LIBRARY = "2.41-11"  # the C library of a cross compiler; Debian's own is newer
OWN = "6.12.200-1"  # version of the source of which an own kernel is made
# As Debian 13 has it, of the packages whose source has another name and an advisory below.
SOURCES = {"libssl3t64": "openssl", "libc6": "glibc", "systemd-boot-efi": "systemd", "libsystemd0": "systemd"}


def origin(pin: Pin) -> Origin:
    """As Debian 13 has it."""
    if pin.name.startswith("linux-image-"):
        return Origin("amd64", "linux-signed-amd64", pin.version.replace("-", "+"), (("linux", pin.version),))
    return Origin("amd64", SOURCES.get(pin.name, pin.name), pin.version, ())


@dataclass
class Scene:
    """An image that is planned, and the bill that it would have."""

    monkeypatch: pytest.MonkeyPatch
    folder: Path

    def bill(self, architecture: str, kernel: str) -> bytes:
        plan = Plan(
            recipe_folder=recipe_folder(),
            output=self.folder / architecture,
            architecture=architecture,
            own_kernel=kernel == "own",
        )
        recipe = building._recipe(plan)
        pins = building._pins(plan, recipe)
        by_name = {pin.name: pin for pin in pins}
        self.monkeypatch.setattr(debian, "origin_of", lambda package: origin(by_name[package.name]))
        packages = building._packages(plan, recipe, pins)
        chosen = building._kernel(plan, recipe, packages)
        found = building._parts(plan, pins, packages, chosen)
        return bill_of_materials(recipe, found, {"cbor2": "cbor2==5.7.1 --hash=sha256:00"}, own={}, root_hash="a" * 64)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    def build_kernel(_architecture: str, output: Path, *_: object, **__: object) -> KernelBuild:
        output.mkdir(parents=True, exist_ok=True)
        (output / "Image").write_bytes(b"kernel")
        return KernelBuild(output / "Image", output / "config", (), "6.12.200", "ab" * 32, OWN, None)

    def debian_kernel(package: Path, *_: object) -> Kernel:
        return Kernel(package.name.removeprefix("linux-image-"), b"kernel", {})

    monkeypatch.setattr(building, "fetch", lambda pins, store, **_: {pin.name: store / pin.name for pin in pins})
    monkeypatch.setattr(building, "build_kernel", build_kernel)
    monkeypatch.setattr(building.kernel, "debian_kernel", debian_kernel)
    monkeypatch.setattr(building, "compile_modules", lambda *_, **__: {})
    monkeypatch.setattr(building, "c_library_part", lambda _: source_part("glibc", LIBRARY))
    return Scene(monkeypatch, tmp_path)


def components(bill: bytes) -> dict[str, str]:
    """Names of the components -> their versions."""
    return {each["name"]: each["version"] for each in json.loads(bill)["components"]}


def repaired(source: str, version: str, release: str = "13") -> Advisory:
    """An advisory for a source package, repaired in a version."""
    below = Range("ECOSYSTEM", (Event("introduced", "0"), Event("fixed", version)))
    entry = Affected(ecosystem=f"Debian:{release}", name=source, ranges=(below,))
    return Advisory(id=f"{source} {version}", modified=1, affected=(entry,))


def affected(bill: bytes, *advisories: Advisory) -> dict[str, set[str]]:
    """Advisories that affect an image -> the names of its components that they are about."""
    matcher = Matcher(Index(advisories))
    found: dict[str, set[str]] = {}
    for each in json.loads(bill)["components"]:
        answer = matcher.match(each["purl"])
        assert not answer.reason, "every component can be judged"
        for match in answer.matches:
            found.setdefault(match.advisory, set()).add(each["name"])
    return found


@pytest.mark.parametrize(
    ("architecture", "kernel", "inside", "not_inside"),
    [
        ("x86_64", "debian", {"linux-image-", "linux", "systemd-boot-efi"}, {"u-boot"}),
        ("x86_64", "own", {"linux", "systemd-boot-efi"}, {"linux-image-", "u-boot"}),
        ("arm64", "debian", {"linux-image-", "linux", "systemd-boot-efi"}, {"u-boot"}),
        ("arm64", "own", {"linux", "systemd-boot-efi"}, {"linux-image-", "u-boot"}),
        ("imx8mp", "debian", {"linux", "u-boot"}, {"linux-image-", "systemd-boot-efi"}),
        ("armhf", "debian", {"linux-image-", "linux", "u-boot"}, {"systemd-boot-efi"}),
    ],
)
def test_the_bill_has_the_kernel_and_the_loader_that_are_inside(
    scene: Scene, architecture: str, kernel: str, inside: set[str], not_inside: set[str]
) -> None:
    found = components(scene.bill(architecture, kernel))
    names = {"linux-image-" if name.startswith("linux-image-") else name for name in found}
    assert inside <= names
    assert not not_inside & names
    pinned = {
        pin.version
        for name, pin in read_pins(building.pins_file(recipe_folder(), architecture)).items()
        if "linux-image" in name
    }
    assert {found["linux"]} == ({OWN} if kernel == "own" or architecture == "imx8mp" else pinned)


@pytest.mark.parametrize(
    ("architecture", "kernel"), [("x86_64", "debian"), ("x86_64", "own"), ("imx8mp", "debian"), ("armhf", "debian")]
)
def test_advisories_are_joined_by_the_source_of_what_is_inside(scene: Scene, architecture: str, kernel: str) -> None:
    bill = scene.bill(architecture, kernel)
    is_own = kernel == "own" or architecture == "imx8mp"
    found = affected(
        bill,
        repaired("openssl", "99"),
        repaired("linux", OWN),  # of which an own kernel is made already
        repaired("linux", "99"),
        repaired("glibc", "2.41-12"),  # which Debian's libc6 has, and the C library of a cross compiler has not
        repaired("u-boot", uboot.VERSION),  # whose patches are applied
        repaired("u-boot", "9999"),
        repaired("systemd", "999"),
        repaired("openssl", "98", release="12"),
    )
    assert found.pop("openssl 99") == {"libssl3t64"}
    assert found.pop("linux 99") == {"linux"}
    assert found.pop(f"linux {OWN}", set()) == (set() if is_own else {"linux"})
    assert found.pop("glibc 2.41-12") == {"glibc"}
    stub = {"systemd-boot-efi"} if architecture == "x86_64" else set()
    assert found.pop("systemd 999") == {"libsystemd0"} | stub
    assert found.pop("u-boot 9999", set()) == (set() if architecture == "x86_64" else {"u-boot"})
    assert found == {}


def test_modules_that_are_compiled_are_of_the_source_that_is_pinned(scene: Scene) -> None:
    found = {each["name"]: each for each in json.loads(scene.bill("armhf", "debian"))["components"]}
    (pin,) = (pin for name, pin in read_pins(module_pins_file(recipe_folder(), "armhf")).items() if "source" in name)
    assert found["linux"]["version"] == pin.version
    assert found["linux"]["description"] == f"modules compiled of {pin.name}"


def test_two_bills_are_one_only_if_they_say_the_same(scene: Scene) -> None:
    assert scene.bill("x86_64", "own") == scene.bill("x86_64", "own")
    bills = [json.loads(scene.bill("x86_64", kernel)) for kernel in ("debian", "own")]
    assert bills[0]["serialNumber"] != bills[1]["serialNumber"]


def test_a_part_of_several_others_stands_once(scene: Scene) -> None:
    urls = [each["bom-ref"] for each in json.loads(scene.bill("armhf", "debian"))["components"]]
    assert len(set(urls)) == len(urls)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb; to enable: sudo apt-get install dpkg")
def test_a_package_says_its_source_and_whose_code_is_in_it(tmp_path: Path) -> None:
    control = """Package: busybox-static
Version: 1:1.37.0-6+b9
Architecture: arm64
Source: busybox (1:1.37.0-6)
Built-Using: glibc (= 2.41-12+deb13u4), libxcrypt (= 1:4.4.38-1)
Static-Built-Using: zlib (= 1:1.3)
Maintainer: nobody <nobody@localhost>
Description: none
"""
    (tmp_path / "package/DEBIAN").mkdir(parents=True)
    (tmp_path / "package/DEBIAN/control").write_text(control)
    file = tmp_path / "busybox.deb"
    subprocess.run(["dpkg-deb", "--build", tmp_path / "package", file], check=True, capture_output=True)
    used = (("glibc", "2.41-12+deb13u4"), ("libxcrypt", "1:4.4.38-1"), ("zlib", "1:1.3"))
    assert origin_of(file) == Origin("arm64", "busybox", "1:1.37.0-6", used)
    first, *others = package_parts([Pin("busybox-static", "1:1.37.0-6+b9", "ab" * 32)], {"busybox-static": file})
    assert first == Part(
        name="busybox-static",
        version="1:1.37.0-6+b9",
        url="pkg:deb/debian/busybox-static@1%3A1.37.0-6%2Bb9?arch=arm64&distro=debian-13&upstream=busybox%401%3A1.37.0-6",
        sha256="ab" * 32,
    )
    assert [(each.name, each.version, each.notes) for each in others] == [(*each, "in busybox-static") for each in used]
    assert others[0].url == "pkg:deb/debian/glibc@2.41-12%2Bdeb13u4?arch=source&distro=debian-13"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("amd64\nglibc\n2.41-12+deb13u4\n, \n", "2.41-12+deb13u4"),
        ("all\ncross-toolchain-base\n77\nbinutils (= 2.44-3), linux (= 6.12.38-1), glibc (= 2.41-11), \n", "2.41-11"),
        ("amd64\nmusl\n1.2.5-3\n, \n", None),
    ],
)
def test_the_c_library_of_the_first_program_is_that_of_its_compiler(
    monkeypatch: pytest.MonkeyPatch, said: str, version: str | None
) -> None:
    answers = {
        "a-gcc": "/usr/lib/gcc/14/../../a/libc.a\n",
        "--search": "libc6-dev-a:amd64: /usr/lib/a/libc.a\n",
        "--show": said,
    }
    asked: list[list[Any]] = []

    def run(words: list[Any]) -> bytes:
        asked.append(words)
        return answers[words[0] if words[0] in answers else words[1]].encode()

    monkeypatch.setattr(parts, "run", run)
    if version is None:
        with pytest.raises(HostError, match="libc6-dev-a:amd64: expected that it is built of glibc, got musl"):
            c_library_part("a-gcc")
        return
    assert c_library_part("a-gcc") == source_part("glibc", version, notes="in the first program, of libc6-dev-a:amd64")
    assert [str(each) for each in asked[1]] == ["dpkg-query", "--search", "/usr/lib/a/libc.a"]
    assert asked[2][-1] == "libc6-dev-a:amd64"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_c_library_of_this_host_is_found(architecture: str) -> None:
    compiler = ARCHITECTURES[architecture].compiler
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}; to enable: scripts/install-image-tools {architecture}")
    assert c_library_part(compiler).version.startswith("2.")


def test_what_dpkg_says_of_a_package_without_more_is_its_source_alone() -> None:
    assert read_origin("all\nsix\n1.17.0-1\n, \n") == Origin("all", "six", "1.17.0-1", ())
