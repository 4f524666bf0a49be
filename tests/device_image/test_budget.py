# SPDX-License-Identifier: Apache-2.0
"""The budget: an image that is larger than it may be is refused, with what is largest in it."""

from __future__ import annotations

import pytest

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.bill.sizes import check_budget
from armillary.device_image.recipe import read_budget, recipe_folder
from armillary.errors import InvalidArgumentError

COMPONENTS = {"armillary": 4_000_000, "cryptography": 15_000_000}


def test_what_is_within_the_budget_is_accepted() -> None:
    check_budget({"total": 80_000_000}, {"total": 80.0}, COMPONENTS)


def test_what_is_above_is_refused_with_the_largest_components() -> None:
    with pytest.raises(InvalidArgumentError, match="total has 80,000,001 bytes, expected at most 80 MB") as refused:
        check_budget({"total": 80_000_001}, {"total": 80.0}, COMPONENTS)
    assert "cryptography 15,000,000, armillary 4,000,000" in refused.value.remedy


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_repositorys_budget_is_the_promised_one(architecture: str) -> None:
    assert read_budget(recipe_folder(), architecture)["total"] <= 80
