# SPDX-License-Identifier: Apache-2.0
"""The whole service with its series on PostgreSQL: what the API's other tests ask for, and a server that goes away."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests import postgresql
from tests.api.mqtt_device import Connected
from tests.api.native.hub.test_native_hub import (  # noqa: F401 - run here again, against the service below
    device,
    test_a_method_is_called_and_answered,
    test_a_twin_is_patched_with_its_etag,
    test_telemetry_is_shown_and_charted,
    test_values_stream_as_they_arrive,
)
from tests.api.native.hub.test_native_series import (  # noqa: F401 - as above
    given,
    test_a_group_is_added_up,
    test_export_gives_back_what_was_imported,
    test_raw_values_come_in_pages,
    test_retention_is_set_shown_and_audited,
)
from tests.api.running_service import RunningService, running_service, wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server: postgresql.Server) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("service"), series_database=server.database("service")) as running:
        yield running


def hub_check(service: RunningService) -> dict[str, str]:
    checks = service.call("GET", "/api/v1/status").body["checks"]
    found: dict[str, str] = next(each for each in checks if each["name"] == "hub")
    return found


def test_a_server_that_goes_away_is_seen_and_everything_goes_on_when_it_is_back(
    service: RunningService,
    server: postgresql.Server,
    device: Connected,  # noqa: F811 - the fixture
) -> None:
    device.send({"before": 1})
    server.stop()
    try:
        check = hub_check(service)
        assert check["status"] == "failed"
        assert "the database of series does not answer" in check["detail"]
        twin = service.call("GET", f"/api/v1/devices/{device.device_id}/twin")
        assert (twin.status, twin.body["code"]) == (503, "host.database")
        metrics = service.call("GET", "/metrics").raw.decode()
        assert re.search(r"database_unreachable\w* 1", metrics)
    finally:
        server.start()
    wait_until(lambda: hub_check(service)["status"] == "ok", "the hub is well again")
    device.send({"after": 2})
    path = f"/api/v1/devices/{device.device_id}/telemetry"
    wait_until(lambda: len(service.call("GET", path).body["items"]) == 2, "both messages to be shown")
