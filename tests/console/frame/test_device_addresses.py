# SPDX-License-Identifier: Apache-2.0
"""A link to a device leads to its page, whatever its id is made of."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from armillary.console.frame.sheet import device_href


@pytest.mark.parametrize("device_id", ["pump-1", "a#b", "a?b=c", "50%", "a b", "a+b", "$weird*(id),:=@'!"])
def test_no_character_of_an_id_ends_the_address(device_id: str) -> None:
    found = urlsplit(device_href(device_id))
    assert (unquote(found.path), found.query, found.fragment) == (f"/devices/{device_id}", "", "")
    assert device_href(f"{device_id}/camera") == device_href(device_id), "a module is on its device's page"
