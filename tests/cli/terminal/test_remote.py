# SPDX-License-Identifier: Apache-2.0
"""Names as segments of paths: no name leads to another path than the command's."""

from __future__ import annotations

import pytest

from armillary.cli.terminal.remote import segment
from armillary.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("name", "sent"), [("a b", "a%20b"), ("../x", "..%2Fx"), ("a?b#c", "a%3Fb%23c"), ("...", "..."), ("é", "%C3%A9")]
)
def test_a_name_stays_within_its_segment(name: str, sent: str) -> None:
    assert segment(name) == sent


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_what_would_be_another_path_is_no_name(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected a name"):
        segment(name)
