# SPDX-License-Identifier: Apache-2.0
"""How many Wi-Fi radios an image's kernel pretends is said by its signed command line."""

from __future__ import annotations

import pytest

from armillary.device_image.request.checks import MOST_RADIOS, radio_words
from armillary.errors import InvalidArgumentError
from armillary.wire.device_image.command_line import VerifiedRoot, command_line

ROOT = VerifiedRoot("ab" * 32, "cd" * 32, 7)


def line(count: int, *, own_kernel: bool) -> str:
    more = radio_words(count, own_kernel=own_kernel)
    return command_line(ROOT, consoles=("ttyS0",), built_at=1, more=more)


def test_an_own_kernel_pretends_as_many_as_were_asked_for_and_none_otherwise() -> None:
    assert "mac80211_hwsim.radios=2" in line(2, own_kernel=True).split()
    assert "mac80211_hwsim.radios=0" in line(0, own_kernel=True).split()
    assert "radios" not in line(0, own_kernel=False)


@pytest.mark.parametrize(("count", "own_kernel"), [(1, False), (-1, True), (MOST_RADIOS + 1, True)])
def test_others_are_refused(count: int, own_kernel: bool) -> None:
    with pytest.raises(InvalidArgumentError, match=f"expected 0 to {MOST_RADIOS} with the own kernel, got {count}"):
        radio_words(count, own_kernel=own_kernel)
