# SPDX-License-Identifier: Apache-2.0
"""U-Boot's environment as its own tools write and read it (mkenvimage 2025.01, fw_setenv), whole, damaged and hostile."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.disk.uboot_environment import COPY_BYTES, Copy, decode_copy, encode_copy, newest, next_flag

VARIABLES = {"boot_next": "b", "boot_order": "a b"}
# mkenvimage -r -s 0x2000 -p 0: of the lines boot_next=b and boot_order=a b. It writes the flag 1.
FOREIGN = bytes.fromhex("cde1da0501") + b"boot_next=b\0boot_order=a b\0"
FOREIGN = FOREIGN.ljust(COPY_BYTES, b"\0")
TEXTS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=40)
NAMES = st.from_regex(r"[a-z_]{1,16}", fullmatch=True)


def test_a_copy_is_written_as_u_boots_own_tool_does() -> None:
    assert encode_copy(Copy(1, VARIABLES)) == FOREIGN
    assert decode_copy(FOREIGN) == Copy(1, VARIABLES)


@pytest.mark.skipif(shutil.which("fw_setenv") is None, reason="needs libubootenv-tool")
def test_the_tools_of_u_boot_read_what_we_write_and_we_what_they_write(tmp_path: Path) -> None:
    disk, config = tmp_path / "disk", tmp_path / "fw_env.config"
    disk.write_bytes(FOREIGN + encode_copy(Copy(2, {**VARIABLES, "boot_next": "a"})))
    config.write_text(f"{disk} 0x0 0x2000\n{disk} 0x2000 0x2000\n")

    def tool(*words: str) -> str:
        return subprocess.run(
            [*words[:1], "-c", str(config), *words[1:]], check=True, capture_output=True, text=True
        ).stdout

    assert tool("fw_printenv").split("\n") == ["boot_next=a", "boot_order=a b", ""]
    tool("fw_setenv", "boot_next", "b")
    found = newest(disk.read_bytes()[:COPY_BYTES], disk.read_bytes()[COPY_BYTES:])
    assert found == (0, Copy(3, VARIABLES))


@given(st.dictionaries(NAMES, TEXTS, max_size=20), st.integers(0, 255))
def test_what_is_written_is_read(variables: dict[str, str], flag: int) -> None:
    assert decode_copy(encode_copy(Copy(flag, variables))) == Copy(flag, variables)


@given(st.integers(0, 255), st.integers(0, 255))
def test_the_later_copy_counts_and_the_flag_goes_round(first: int, second: int) -> None:
    found = newest(encode_copy(Copy(first, {"n": "1"})), encode_copy(Copy(second, {"n": "2"})))
    assert found is not None
    later = second > first
    if {first, second} == {0, 255}:
        later = second == 0
    assert found[0] == (1 if later else 0)
    assert next_flag(255) == 0


@pytest.mark.parametrize("at", [0, 3, 5, 17, COPY_BYTES - 1])
def test_a_damaged_copy_does_not_count(at: int) -> None:
    damaged = bytearray(FOREIGN)
    damaged[at] ^= 0x40
    with pytest.raises(WireError, match="checksum"):
        decode_copy(bytes(damaged))
    assert newest(bytes(damaged), FOREIGN) == (1, Copy(1, VARIABLES))
    assert newest(FOREIGN, bytes(damaged)) == (0, Copy(1, VARIABLES))
    assert newest(bytes(damaged), bytes(damaged)) is None


@given(st.binary(max_size=COPY_BYTES + 9))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        decode_copy(data)
    except WireError as error:
        assert "uboot-environment" in error.message  # noqa: PT017 - both ends are right


@pytest.mark.parametrize(
    "variables", [{"a b": "x"}, {"": "x"}, {"a": ""}, {"a": "x\0y"}, {"a": "ä"}, {"a=b": "x"}, {"a": "x" * COPY_BYTES}]
)
def test_what_cannot_be_stored_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="environment"):
        encode_copy(Copy(0, variables))
