# SPDX-License-Identifier: Apache-2.0
"""The line that says how a core stopped: read back as written, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device.core_fault import KINDS, PREFIX, CoreFault, encode_fault, parse_fault

FAULT = CoreFault(
    kind="BusFault", reason="write to an address where nothing is", address=0x5000_1000, pc=0x1000_00AA, lr=7, sp=8
)
WORD = st.integers(0, 2**32 - 1)


@given(
    st.builds(
        CoreFault,
        kind=st.sampled_from(sorted(KINDS)),
        reason=st.text(max_size=200),
        address=st.none() | WORD,
        pc=WORD,
        lr=WORD,
        sp=WORD,
    )
)
def test_a_fault_is_read_back(fault: CoreFault) -> None:
    assert parse_fault(encode_fault(fault)) == fault
    assert "\n" not in encode_fault(fault)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"kind": "BusFault"}', '{"kind": "x", "reason": ""}', '{"kind": [], "reason": ""}']
)
def test_what_is_no_fault_is_an_error(text: str) -> None:
    with pytest.raises(WireError):
        parse_fault(PREFIX + text)


@pytest.mark.parametrize("value", ["-1", "4294967296", "true", '"7"', "1.5"])
def test_registers_have_32_bits(value: str) -> None:
    with pytest.raises(WireError):
        parse_fault(encode_fault(FAULT).replace('"lr":7', f'"lr":{value}'))


def test_other_lines_are_none_and_a_fault_is_described() -> None:
    assert parse_fault("Traceback (most recent call last):") is None
    assert FAULT.describe() == (
        "fault=BusFault; reason=write to an address where nothing is; pc=0x100000aa; lr=0x00000007; sp=0x00000008"
    )
    assert FAULT.signal == 11
