# SPDX-License-Identifier: Apache-2.0
"""Names and resource ids of the management API."""

from __future__ import annotations

import pytest

from armillary.api.azure import names
from armillary.api.azure.shape import canonical
from armillary.errors import InvalidArgumentError

GROUP = (
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.AzureSphere/catalogs/C/products/P 1/deviceGroups/Field Test"
)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("catalog", "My-Catalog_1"),
        ("product", "Coffee machine"),
        ("product", ".default"),
        ("device_group", "A"),
        ("device_group", "Field Test OS Evaluation"),
        ("device_group", ".unassigned"),
        ("device", "ab" * 64),
        ("serial", ".default"),
    ],
)
def test_good_names_pass(kind: str, value: str) -> None:
    assert names.checked(kind, value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("catalog", ""),
        ("catalog", "a" * 51),
        ("catalog", "a b"),
        ("catalog", "ab\n"),
        ("product", "ab"),
        ("product", "a/b/c"),
        ("product", ".hidden"),
        ("device_group", " a "),
        ("device_group", "x" * 51),
        ("device", "ab" * 63),
        ("device", "zz" * 64),
        ("serial", "../x"),
    ],
)
def test_bad_names_are_refused_with_what_was_expected(kind: str, value: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected"):
        names.checked(kind, value)


def test_device_ids_become_lower_case() -> None:
    assert names.checked("device", "AB" * 64) == "ab" * 64


def test_device_group_ids_are_read_in_any_case() -> None:
    expected = names.DeviceGroupId("C", "P 1", "Field Test")
    assert names.parse_device_group_id(GROUP) == expected
    lower = GROUP.replace("resourceGroups", "RESOURCEGROUPS").replace("deviceGroups", "devicegroups")
    assert names.parse_device_group_id(lower) == expected
    assert names.parse_device_group_id(GROUP.replace(" ", "%20")) == expected


@pytest.mark.parametrize("value", ["", "/", GROUP + "/devices/x", GROUP.rsplit("/", 1)[0], GROUP.replace("/C/", "//")])
def test_other_ids_are_no_device_group_ids(value: str) -> None:
    with pytest.raises(InvalidArgumentError):
        names.parse_device_group_id(value)


def test_paths_match_without_case_and_names_keep_theirs() -> None:
    path = "/SUBSCRIPTIONS/Devices/resourcegroups/PRODUCTS/providers/microsoft.azuresphere/Catalogs/IMAGES/countdevices"
    assert canonical(path, "") == (
        "/subscriptions/Devices/resourceGroups/PRODUCTS/providers/Microsoft.AzureSphere/catalogs/IMAGES/countDevices"
    )
