# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest

from armillary.errors import DeviceStateError
from armillary.identity import manufacturing as mfg

ORDER = list(mfg.ManufacturingState)


def test_names_are_azure_spheres():
    assert [state.value for state in ORDER] == ["Blank", "Module1Complete", "DeviceComplete"]


@pytest.mark.parametrize(("current", "wanted"), list(itertools.product(ORDER, ORDER)))
def test_every_cell(current: mfg.ManufacturingState, wanted: mfg.ManufacturingState):
    if ORDER.index(wanted) > ORDER.index(current):
        assert mfg.advance(current, wanted) is wanted
    else:
        with pytest.raises(DeviceStateError, match=wanted.value):
            mfg.advance(current, wanted)


def test_table_has_every_cell_and_no_other():
    assert set(mfg.TRANSITIONS) == set(itertools.product(ORDER, ORDER))
    assert set(mfg.ACCEPTS_TEST_KEY) == set(mfg.LETS_RF_TOOLS_RUN) == set(ORDER)


def test_rights_never_come_back():
    for rights in (mfg.ACCEPTS_TEST_KEY, mfg.LETS_RF_TOOLS_RUN):
        values = [rights[state] for state in ORDER]
        assert values == sorted(values, reverse=True)
        assert rights[mfg.ManufacturingState.DEVICE_COMPLETE] is False
