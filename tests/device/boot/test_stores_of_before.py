# SPDX-License-Identifier: Apache-2.0
"""A device of a version that kept not which trust stores it accepts, at its first start with this one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device.state.configuration import load_configuration, store_configuration
from armillary.engines.flash.file import FileFlash


@pytest.mark.anyio
async def test_a_device_of_before_keeps_at_its_first_start_which_trust_stores_it_accepts(rig: Rig) -> None:
    """From then on a record from outside names none that it obeys (``install/test_trust_stores.py``)."""
    flash = FileFlash(rig.folder / "flash")
    store_configuration(flash, replace(load_configuration(flash), accepted_stores=None))
    await rig.start()
    await until(lambda: rig.service.checks, "it goes on")
    assert load_configuration(flash).accepted_stores == ()
