# SPDX-License-Identifier: Apache-2.0
"""The table of reasons why a device does not have yet what it should have."""

from __future__ import annotations

from pathlib import Path

import armillary
from armillary.wire.device.update_reason import REASONS, reason_of

PACKAGE = Path(armillary.__file__).parent


def test_each_code_is_there_once_and_can_be_sent() -> None:
    codes = [reason.code for reason in REASONS]
    assert sorted(codes) == sorted(set(codes))
    assert all(code.isascii() and code.replace("-", "").isalpha() and code == code.lower() for code in codes)
    assert {reason.found_by for reason in REASONS} == {"device", "service"}


def test_each_reason_is_a_sentence_with_a_remedy() -> None:
    assert [r.code for r in REASONS if not (r.meaning.endswith(".") and r.remedy.endswith("."))] == []


def test_a_code_of_a_newer_device_is_shown_as_it_is() -> None:
    assert "low-battery" in reason_of("low-battery").meaning


def test_every_reason_that_a_device_finds_is_one_that_a_device_says() -> None:
    parts = ("device", "update")
    sources = "".join(path.read_text() for part in parts for path in (PACKAGE / part).rglob("*.py"))
    assert [one.code for one in REASONS if one.found_by == "device" and f'"{one.code}"' not in sources] == []
