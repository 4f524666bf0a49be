# SPDX-License-Identifier: Apache-2.0
"""The hint to check in now."""

from __future__ import annotations

import pytest

from armillary.errors import WireError
from armillary.wire.device.hint import encode_hint, parse_hint
from armillary.wire.encoding import cbor


@pytest.mark.parametrize("check_in", [True, False])
def test_what_is_written_is_read_again(check_in: bool) -> None:
    assert parse_hint(encode_hint(check_in=check_in)) is check_in


@pytest.mark.parametrize("value", [None, [], [1], [1, True, 0], [2, True], [True, True], [1, 1], {"check_in": True}])
def test_nothing_else_is(value: object) -> None:
    with pytest.raises(WireError, match="hint"):
        parse_hint(cbor.encode_ordered(value))
