# SPDX-License-Identifier: Apache-2.0
"""What process 1 says of Secure Boot is what the firmware answers; where it does not answer, that is said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from armillary.device.machine import first

ATTRIBUTES = b"\x06\0\0\0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ATTRIBUTES + b"\x01", "secure boot on"),
        (ATTRIBUTES + b"\x00", "secure boot off"),
        (ATTRIBUTES, "secure boot not known: 0 bytes"),
        (ATTRIBUTES + b"\x01\x01", "secure boot not known: 2 bytes"),
        (None, "secure boot not known: the firmware has no such variable"),
    ],
)
def test_it_is_what_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    variable = tmp_path / "SecureBoot"
    if content is not None:
        variable.write_bytes(content)
    monkeypatch.setattr(first, "SECURE_BOOT", str(variable))
    assert first.secure_boot() == said


@pytest.mark.parametrize(("failures", "said"), [(2, "on"), (3, "not known: Input/output error")])
def test_a_firmware_that_fails_to_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, failures: int, said: str
) -> None:
    left = [OSError(5, "Input/output error")] * failures

    def opened(*_: Any) -> io.BytesIO:
        if left:
            raise left.pop()
        return io.BytesIO(ATTRIBUTES + b"\x01")

    monkeypatch.setattr(first, "open", opened, raising=False)
    assert first.secure_boot() == f"secure boot {said}"
    assert left == []


def test_it_is_what_process_1_says_of_who_started_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = tmp_path / "u-boot,version"
    monkeypatch.setattr(first, "UBOOT_VERSION", str(version))
    monkeypatch.setattr(first, "SECURE_BOOT", str(tmp_path / "SecureBoot"))
    (tmp_path / "SecureBoot").write_bytes(ATTRIBUTES + b"\x01")
    assert first.started_by() == "secure boot on"
    version.write_text("U-Boot 2025.01")
    assert first.started_by() == "started by U-Boot"
