# SPDX-License-Identifier: Apache-2.0
"""``armillary assess``, from the command line to the records and back."""

from __future__ import annotations

from tests.api.running_service import RunningService, own_service
from tests.cli.conftest import Command

from armillary.service.assessment.properties import PROPERTIES

service = own_service()  # counts devices


def test_a_fleet_and_a_device_are_assessed(armillary: Command, service: RunningService) -> None:
    empty = armillary("assess")
    assert (empty.code, "There is no device." in empty.err) == (0, True)
    service.make_catalog("Contoso", product="Coffee")
    device = service.claimed("Contoso")
    short = device.device_id[:12]
    shown = armillary("assess", "--device", short)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert any(line.split() == ["tier", "software"] for line in lines)
    assert all(any(line.startswith(each.title) and " absent " in line for line in lines) for each in PROPERTIES)

    document = armillary("assess", "-d", short, "--json").json
    assert [each["name"] for each in document["properties"]] == [each.name for each in PROPERTIES]
    for each in document["properties"]:
        for route in each["evidence"]:
            assert service.call("GET", route).status == 200, route
    fleet = armillary("assess", "--fleet", "--catalog", "Contoso", "--json").json
    assert fleet["devices"] == 1
    assert {one["states"]["absent"] for one in fleet["properties"]} == {1}
    assert armillary("assess", "--fleet").code == 0


def test_what_cannot_be_assessed_says_so(armillary: Command) -> None:
    assert "got both" in armillary("assess", "--fleet", "--device", "0000").err
    assert armillary("assess", "--catalog", "Nobody").code == 1
