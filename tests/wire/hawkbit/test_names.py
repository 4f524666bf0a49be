# SPDX-License-Identifier: Apache-2.0
"""Names of controllers, tenants and artifacts, and the documents that are made of them."""

from __future__ import annotations

import time
from uuid import UUID, uuid4

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.wire.hawkbit.artifact import check_names, component_id_of
from armillary.wire.hawkbit.controller import checked_controller, device_id_of, is_controller, tenant_key
from armillary.wire.hawkbit.documents import (
    MAX_POLLING_S,
    Chunk,
    Links,
    artifact,
    cancel_action,
    controller_base,
    deployment_base,
    md5_sum,
    sleep_text,
)
from armillary.wire.hub.credentials import is_attested_id

ROOT = "https://bridge.example:8445/DEFAULT/controller/v1/dev1"
CHUNK = Chunk(
    image_id=UUID(int=5), part="os", name="gateway", version="2.0", filename="gateway.swu", size=10,
    sha256=b"\1" * 32, sha1=b"\2" * 20, md5=b"\3" * 16,
)  # fmt: skip


def test_ids_that_devices_have() -> None:
    for good in ("dev1", "00:11:22:33:44:55", "a.b_c-d~e@f+g=h", "x" * 128):
        assert checked_controller(good) == good
    for bad in ("", "x" * 129, "a/b", "../x", "a b", "-a", "a%2fb", "ä", "a\n", "a\0"):
        assert not is_controller(bad)
        with pytest.raises(InvalidArgumentError, match="controller id"):
            checked_controller(bad)


def test_tenants_are_compared_without_case() -> None:
    assert tenant_key("DEFAULT") == tenant_key("default") == "default"
    for bad in ("", "a b", "x" * 51, "a/b"):
        with pytest.raises(InvalidArgumentError, match="tenant"):
            tenant_key(bad)


def test_a_device_id_is_of_one_catalog_and_one_controller() -> None:
    one, other = uuid4(), uuid4()
    ids = {device_id_of(each, name) for each in (one, other) for name in ("dev1", "dev2")}
    assert len(ids) == 4
    assert all(is_attested_id(each) and each == each.lower() for each in ids)


def test_names_of_artifacts() -> None:
    good = {"name": "Gateway image", "version": "1.2.3-rc1", "filename": "gateway.swu", "part": "os"}
    check_names(**good)
    for field, bad in (
        ("name", 'a"b'), ("name", ""), ("version", "1 2"), ("filename", "../x"), ("filename", "a/b"),
        ("filename", "x.MD5SUM"), ("filename", ".hidden"), ("part", "a b"),
    ):  # fmt: skip
        with pytest.raises(InvalidArgumentError, match=field):
            check_names(**{**good, field: bad})
    catalog = uuid4()
    assert component_id_of(catalog, "Gateway") == component_id_of(catalog, "gateway") != component_id_of(uuid4(), "x")


def test_a_controller_is_told_one_thing_at_a_time() -> None:
    told = controller_base(ROOT, 300, Links(deployment=7, cancel=7, installed=3, config_data=True))
    assert told == {
        "config": {"polling": {"sleep": "00:05:00"}},
        "_links": {
            "cancelAction": {"href": ROOT + "/cancelAction/7"},
            "installedBase": {"href": ROOT + "/installedBase/3"},
            "configData": {"href": ROOT + "/configData"},
        },
    }
    assert controller_base(ROOT, 300, Links())["_links"] == {}
    assert "deploymentBase" in controller_base(ROOT, 300, Links(deployment=7))["_links"]


def test_a_deployment_is_what_clients_read() -> None:
    told = deployment_base(ROOT, 7, [CHUNK])
    assert told["id"] == "7"
    (chunk,) = told["deployment"]["chunks"]
    assert (told["deployment"]["update"], chunk["part"], chunk["version"], chunk["name"]) == (
        "forced", "os", "2.0", "gateway",
    )  # fmt: skip
    (file,) = chunk["artifacts"]
    assert file == artifact(ROOT, CHUNK)
    assert file["hashes"]["sha1"] == "02" * 20
    assert file["_links"]["download"]["href"].endswith(
        "/softwaremodules/00000000-0000-0000-0000-000000000005/artifacts/gateway.swu"
    )
    assert file["_links"]["md5sum"]["href"].endswith(".swu.MD5SUM")
    assert md5_sum(CHUNK) == "03" * 16 + "  gateway.swu"
    assert cancel_action(7) == {"id": "7", "cancelAction": {"stopId": "7"}}


@given(st.integers(min_value=1, max_value=MAX_POLLING_S))
def test_clients_read_the_time_between_polls(seconds: int) -> None:
    read = time.strptime(sleep_text(seconds), "%H:%M:%S")
    assert read.tm_hour * 3600 + read.tm_min * 60 + read.tm_sec == seconds


def test_a_time_between_polls_is_within_a_day() -> None:
    assert (sleep_text(0), sleep_text(10**6)) == ("00:00:01", "23:59:59")
