# SPDX-License-Identifier: Apache-2.0
"""Variables of UEFI firmware are found where they stand in its flash."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.variable_store import DELETED, GLOBAL, store, variable

from armillary.device_image.tools import PATH
from armillary.errors import WireError
from armillary.wire.device_image.variable_store import variables_of

EMPTY = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


def test_each_variable_in_force_is_found_with_its_place() -> None:
    data = store(
        variable("PK", b"old", state=DELETED), variable("BootOrder", b"\1\0\2\0"), variable("PK", b"certificate")
    )
    found = {each.name: data[each.at : each.at + each.size] for each in variables_of(data)}
    assert found == {"BootOrder": b"\1\0\2\0", "PK": b"certificate"}
    assert {each.vendor for each in variables_of(data)} == {GLOBAL}
    assert all(data[each.begins_at : each.begins_at + 2] == b"\xaa\x55" for each in variables_of(data))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "a volume"),
        (bytes(8192), "a volume"),
        (store().replace(b"\x5a\xfe", b"\xff\xff"), "formatted and healthy"),
        (store(variable("PK", b"certificate"))[:170], "a variable of 11 bytes"),
    ],
)
def test_another_flash_is_named(data: bytes, expected: str) -> None:
    with pytest.raises(WireError, match=expected):
        variables_of(data)


@given(st.binary(max_size=200))
def test_any_bytes_behind_the_headers_are_read_or_refused(data: bytes) -> None:
    begin = store()[:100]
    try:
        found = variables_of(begin + data)
    except WireError:
        return
    assert all(each.at + each.size <= len(begin + data) for each in found)


@pytest.mark.skipif(
    not (shutil.which("virt-fw-vars", path=PATH) and EMPTY.exists()),
    reason="no virt-fw-vars or OVMF; to enable: sudo apt-get install python3-virt-firmware ovmf",
)
def test_a_store_of_virt_firmware_has_what_it_says(tmp_path: Path) -> None:
    wanted = {"BootOrder": "01000200", "Boot0001": "0011", "PlatformLang": "656e00"}
    told = [{"name": name, "guid": str(GLOBAL), "attr": 7, "data": data} for name, data in wanted.items()]
    (tmp_path / "in.json").write_text(json.dumps({"version": 2, "variables": told}))
    words = ["--input", EMPTY, "--output", tmp_path / "out", "--set-json", tmp_path / "in.json"]
    subprocess.run([shutil.which("virt-fw-vars", path=PATH) or "", *words], check=True, env={"PATH": PATH})
    data = (tmp_path / "out").read_bytes()
    found = {each.name: data[each.at : each.at + each.size].hex() for each in variables_of(data)}
    assert wanted.items() <= found.items()
