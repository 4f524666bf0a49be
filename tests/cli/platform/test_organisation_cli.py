# SPDX-License-Identifier: Apache-2.0
"""``armillary organisation`` and ``armillary token create --organisation``."""

from __future__ import annotations

from tests.cli.conftest import Command


def test_organisations_from_the_command_line(armillary: Command, catalog: str, device: str) -> None:
    name = catalog
    organisation = ("organisation",)
    assert armillary(*organisation, "create", "--name", f"{name} north", "-c", name).code == 0
    below = armillary(
        *organisation, "create", "--name", f"{name} oslo", "--parent", f"{name}-north", "-c", name, "--json"
    )
    assert below.json["body"]["parent"] == f"{name}-north"
    assert armillary(*organisation, "assign", "-d", device, "-o", f"{name}-oslo").code == 0
    rows = armillary(*organisation, "devices", "-o", f"{name}-north", "--json").json
    assert [each["device_id"] for each in rows] == [device]
    assert f"{name}-oslo" in armillary(*organisation, "list", "-c", name).out
    assert f"{name} north" in armillary(*organisation, "show", "-o", f"{name}-north").out
    made = armillary("token", "create", "--name", "n", "--catalog", name, "-o", f"{name}-north", "--json")
    assert made.json["organisation"] == f"{name}-north"
    assert "request.conflict" in armillary(*organisation, "delete", "-o", f"{name}-oslo", "--yes").err
    assert armillary(*organisation, "assign", "-d", device).code == 0
    assert armillary(*organisation, "delete", "-o", f"{name}-oslo", "--yes").code == 0
    assert "has tokens" in armillary(*organisation, "delete", "-o", f"{name}-north", "--yes").err
