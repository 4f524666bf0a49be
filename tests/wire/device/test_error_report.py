# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.reports import crash

from armillary.errors import WireError
from armillary.wire.device import error_report as er
from armillary.wire.encoding.clip import clip_text

COMPONENT, IMAGE = UUID("6d3a6b2e-0b0e-4b5a-8f0a-1d2c3b4a5968"), UUID("00000000-0000-0000-0000-000000000002")


def test_description_has_azure_spheres_literal_form():
    text = er.describe_exit(COMPONENT, IMAGE, exit_status=11, signal=11, signal_code=3)
    assert text == (
        "AppCrash (exit_status=11; signal_status=11; signal_code=3; "
        "component_id=6d3a6b2e-0b0e-4b5a-8f0a-1d2c3b4a5968; image_id=00000000-0000-0000-0000-000000000002)"
    )


@pytest.mark.parametrize(
    ("text", "clipped"),
    [
        ("short", "short"),
        ("a\0b", "ab"),
        ("x" * 2000, "x" * 1024),
        ("\u00fc" * 600, "\u00fc" * 512),
        ("x" + "\u00fc" * 600, "x" + "\u00fc" * 511),
        ("\ud800", "?"),
    ],
)
def test_clipped_descriptions_are_accepted(text: str, clipped: str):
    assert clip_text(text, er.MAX_DESCRIPTION_BYTES) == clipped
    report = crash(description=clip_text(text, er.MAX_DESCRIPTION_BYTES))
    assert er.report_from_fields(er.report_fields(report)) == report


@pytest.mark.parametrize("value", [None, {}, [], "report"])
def test_other_values_are_refused(value: Any):
    with pytest.raises(WireError):
        er.report_from_fields(value)
