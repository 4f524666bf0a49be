# SPDX-License-Identifier: Apache-2.0
"""The timing of an offer: what is written is read again, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device.offer_timing import (
    MAX_DEFERRAL_S,
    MAX_WINDOWS,
    OfferTiming,
    Window,
    timing_fields,
    timing_from_fields,
)
from armillary.wire.encoding import cbor

MOMENTS = st.integers(0, 253_402_300_799)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, ...]:
    edges = sorted(draw(st.sets(MOMENTS, max_size=2 * MAX_WINDOWS)))
    return tuple(Window(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False))


TIMINGS = st.builds(
    OfferTiming,
    not_before=MOMENTS,
    lease_until=st.none() | MOMENTS,
    windows=st.none() | windows(),
    max_deferral_s=st.integers(0, MAX_DEFERRAL_S),
    urgent=st.booleans(),
)


@given(TIMINGS)
def test_what_is_written_is_read_again(timing: OfferTiming) -> None:
    data = cbor.encode_ordered(timing_fields(timing))
    assert timing_from_fields(cbor.decode(data, what="timing", limit=4096)) == timing


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        [0, None, None, 0],
        [0, None, None, 0, False, 0],
        [-1, None, None, 0, False],
        [0, "soon", None, 0, False],
        [0, None, None, MAX_DEFERRAL_S + 1, False],
        [0, None, None, 0, 1],
        [0, None, [[5, 5]], 0, False],
        [0, None, [[5, 4]], 0, False],
        [0, None, [[1, 3], [3, 4]], 0, False],
        [0, None, [[3, 4], [1, 2]], 0, False],
        [0, None, [[1, 2, 3]], 0, False],
        [0, None, [[2 * n, 2 * n + 1] for n in range(MAX_WINDOWS + 1)], 0, False],
    ],
)
def test_nothing_else_is(fields: Any) -> None:
    with pytest.raises(WireError, match="offer timing"):
        timing_from_fields(fields)
