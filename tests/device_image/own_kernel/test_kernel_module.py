# SPDX-License-Identifier: Apache-2.0
"""Modules of the kernel's own source: with which packages, where they are kept, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.device_image.own_kernel import kernel_module
from armillary.device_image.own_kernel.kernel_module import compile_modules, packages_of, split, without_tables
from armillary.device_image.recipe import Pin
from armillary.errors import InvalidArgumentError

RELEASE = "6.12.117+deb13-armmp"


def pins() -> dict[str, Pin]:
    return {name: Pin(name, "1", f"{number}" * 64) for number, name in enumerate(packages_of(RELEASE))}


def test_packages_are_those_of_the_kernel_and_the_programs_are_the_hosts() -> None:
    assert packages_of(RELEASE) == (
        "linux-headers-6.12.117+deb13-armmp",
        "linux-headers-6.12.117+deb13-common",
        "linux-source-6.12",
        "linux-kbuild-6.12.117+deb13",
    )
    own, hosts = split(packages_of(RELEASE))
    assert (len(own), hosts) == (3, ["linux-kbuild-6.12.117+deb13"])


def test_pins_of_another_kernel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"no pin for linux-headers-6\.12\.118\+deb13-armmp"):
        compile_modules(["tpm_tis"], "6.12.118+deb13-armmp", pins(), tmp_path, architecture="armhf", strip="strip")


def test_what_was_compiled_of_the_same_pins_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def compiled(name: str, *_: object) -> bytes:
        made.append(name)
        return b"module"

    monkeypatch.setattr(kernel_module, "fetch", lambda some, *_, **__: {pin.name: tmp_path for pin in some})
    monkeypatch.setattr(kernel_module, "_compile", compiled)
    for _ in range(2):
        found = compile_modules(["tpm_tis"], RELEASE, pins(), tmp_path, architecture="armhf", strip="strip")
        assert found == {"tpm_tis": b"module"}
    assert made == ["tpm_tis"]
    compile_modules(
        ["tpm_tis"],
        RELEASE,
        pins() | {"linux-source-6.12": Pin("linux-source-6.12", "1", "f" * 64)},
        tmp_path,
        architecture="armhf",
        strip="strip",
    )
    assert made == ["tpm_tis"] * 2
    for kept in (tmp_path / "modules").glob("*/tpm_tis"):
        kept.write_bytes(b"changed")
    found = compile_modules(["tpm_tis"], RELEASE, pins(), tmp_path, architecture="armhf", strip="strip")
    assert (found, made) == ({"tpm_tis": b"module"}, ["tpm_tis"] * 3)


def test_tables_by_which_a_kernel_asks_for_a_module_are_left_out() -> None:
    source = "int a;\nMODULE_DEVICE_TABLE(of, tis_of_platform_match);\nint b;\n"
    assert without_tables(source) == "int a;\nint b;\n"
