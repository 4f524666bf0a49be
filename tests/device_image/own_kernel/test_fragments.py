# SPDX-License-Identifier: Apache-2.0
"""Fragments of a kernel's configuration: the form, what is refused, what a finished configuration may have lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.device_image.own_kernel import fragments
from armillary.device_image.own_kernel.fragments import COMMON, FRAGMENTS, Option
from armillary.errors import InvalidArgumentError


def folder_of(tmp_path: Path, **texts: str) -> Path:
    """A folder with the fragments of x86_64, empty but for those that are given."""
    for name in FRAGMENTS["x86_64"]:
        (tmp_path / f"{name}.config").write_text(texts.get(name, "# nothing\n"))
    return tmp_path


@pytest.mark.parametrize("architecture", sorted(FRAGMENTS))
def test_every_option_of_the_repository_has_a_value_and_a_reason(architecture: str) -> None:
    options = fragments.read_fragments(fragments.kernel_folder(), architecture)
    assert len(options) > 250
    assert [option.place for option in options if len(option.reason) < 7] == []
    assert {option.place.partition(".")[0] for option in options} == set(FRAGMENTS[architecture])


def test_every_file_of_the_folder_is_a_fragment_of_some_architecture() -> None:
    found = {path.stem for path in fragments.kernel_folder().glob("*.config")}
    assert found == {name for names in FRAGMENTS.values() for name in names}
    assert all(names[: len(COMMON)] == COMMON for names in FRAGMENTS.values())


def test_an_option_is_its_name_value_reason_and_place(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        base='# head\n\nCONFIG_SMP=y  # cores\nCONFIG_NR_CPUS=8  # the largest board\nCONFIG_NAME="a b"  # a text\n',
        x86_64="CONFIG_KEXEC=n  # no second kernel\nCONFIG_BASE=0x1000  # an address\n",
    )
    options = fragments.read_fragments(folder, "x86_64")
    assert options[0] == Option("CONFIG_SMP", "y", "cores", "base.config:3")
    assert fragments.configured(options) == (
        'CONFIG_SMP=y\nCONFIG_NR_CPUS=8\nCONFIG_NAME="a b"\n# CONFIG_KEXEC is not set\nCONFIG_BASE=0x1000\n'
    )


@pytest.mark.parametrize(
    "line",
    [
        "CONFIG_SMP=y",
        "CONFIG_SMP=y  #",
        "CONFIG_SMP=y # one space",
        "CONFIG_SMP=m  # no modules",
        "CONFIG_SMP=  # nothing",
        "CONFIG_NAME=bare  # no quotes",
        "# CONFIG_SMP is not set\nCONFIG_SMP",
        "SMP=y  # no name of an option",
    ],
)
def test_a_line_of_another_form_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"storage\.config:\d: expected CONFIG_NAME=value, two spaces, #"):
        fragments.read_fragments(folder_of(tmp_path, storage=f"{line}\n"), "x86_64")


@pytest.mark.parametrize("again", ["y", "n"])
def test_an_option_that_stands_twice_is_refused_with_both_places(tmp_path: Path, again: str) -> None:
    folder = folder_of(tmp_path, base="CONFIG_SMP=y  # cores\n", x86_64=f"CONFIG_SMP={again}  # cores\n")
    with pytest.raises(InvalidArgumentError, match=r"x86_64\.config:1: CONFIG_SMP stands in base\.config:1 already"):
        fragments.read_fragments(folder, "x86_64")


def test_an_unknown_architecture_and_a_missing_fragment_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"unknown architecture 'riscv'"):
        fragments.read_fragments(tmp_path, "riscv")
    with pytest.raises(InvalidArgumentError, match=r"base\.config: No such file"):
        fragments.read_fragments(tmp_path, "x86_64")


def test_the_digest_is_about_options_and_values_alone() -> None:
    one = Option("CONFIG_A", "y", "why", "base.config:1")
    two = Option("CONFIG_B", "n", "why", "base.config:2")
    moved = Option("CONFIG_A", "y", "another reason", "x86_64.config:9")
    assert fragments.digest([one, two]) == fragments.digest([two, moved])
    assert fragments.digest([one, two]) != fragments.digest([one, Option("CONFIG_B", "y", "why", "base.config:2")])
    assert fragments.digest([one, two]) != fragments.digest([one])


def test_every_lost_option_is_named_with_what_it_became() -> None:
    wanted = [
        Option("CONFIG_KEPT", "y", "-", "base.config:1"),
        Option("CONFIG_OFF", "n", "-", "base.config:2"),
        Option("CONFIG_GONE", "y", "-", "base.config:3"),
        Option("CONFIG_BACK", "n", "-", "base.config:4"),
        Option("CONFIG_BITS", "32", "-", "base.config:5"),
    ]
    got = "# head\nCONFIG_KEPT=y\n# CONFIG_OFF is not set\nCONFIG_BACK=y\nCONFIG_BITS=28\n"
    with pytest.raises(InvalidArgumentError) as refused:
        fragments.refuse_lost(wanted, got)
    assert str(refused.value).startswith("kernel: 3 wanted options were lost: ")
    for said in ("3: CONFIG_GONE=y became n", "4: CONFIG_BACK=n became y", "5: CONFIG_BITS=32 became 28"):
        assert f"base.config:{said}" in str(refused.value)
    fragments.refuse_lost(wanted[:2], got)
