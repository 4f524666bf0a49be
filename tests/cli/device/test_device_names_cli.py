# SPDX-License-Identifier: Apache-2.0
"""A device as people write it on the command line: by name, by id, by its first digits."""

from __future__ import annotations

import json
import uuid

from tests.api.running_service import RunningService
from tests.cli.conftest import Command


def test_a_device_is_named_and_taken_by_name_or_first_digits(
    armillary: Command, service: RunningService, catalog: str
) -> None:
    kitchen = f"Kitchen {uuid.uuid4().hex[:8]}"
    first, second = service.make_device().device_id, service.make_device().device_id
    claimed = armillary("device", "claim", "-d", first[:14], "-c", catalog, "--name", kitchen)
    assert claimed.code == 0, claimed.err
    assert armillary("device", "claim", "-d", f"{first} {second}", "-c", catalog, "--name", "x").code == 2
    assert armillary("device", "claim", "-d", second, "-c", catalog).code == 0

    listed = armillary("device", "list", "-c", catalog)
    assert kitchen in listed.out
    assert first[:12] in listed.out
    assert first not in listed.out  # short ids are shown
    found = armillary("device", "list", "--search", kitchen.split()[1], "--json")
    assert [each["device_id"] for each in found.json] == [first]
    for written in (kitchen, kitchen.upper(), first[:12], first.upper(), first):
        shown = armillary("device", "show", "-d", written, "--json")
        assert (shown.code, json.loads(shown.out or "{}").get("device_id")) == (0, first), (written, shown.err)
    assert armillary("device", "twin", "update", "-d", kitchen, "--desired", '{"a": 1}').code == 0

    # Several are listed and none is taken; so it is with a name that nobody has.
    renamed = armillary("device", "rename", "-d", second, "--name", kitchen)
    assert (renamed.code, kitchen in renamed.out) == (0, True)
    many = armillary("device", "revoke", "-d", kitchen, "--reason", "r", "--yes")
    assert many.code == 1
    assert "means 2 devices" in many.err
    assert all(each[:12] in many.err for each in (first, second))
    assert service.service.registry.devices.get(first).revoked_at is None
    for written in ("No such device", first[:3]):
        none = armillary("device", "show", "-d", written)
        assert (none.code, "no device is called" in none.err, "hint:" in none.err) == (1, True, True)
    refused = armillary("device", "rename", "-d", second, "--name", "a\x07b")
    assert (refused.code, "U+0007" in refused.err) == (1, True)


def test_a_hub_device_is_named_and_taken_by_name(armillary: Command, catalog: str) -> None:
    device, name = f"Pump_{uuid.uuid4().hex[:6]}", f"Hall {uuid.uuid4().hex[:6]}"
    assert armillary("hub-device", "create", "-d", device, "-c", catalog, "--name", name).code == 0
    assert name in armillary("hub-device", "list", "-c", catalog).out
    assert name in armillary("hub-device", "list", "-c", catalog, "--search", name.split()[1]).out
    assert armillary("hub-device", "list", "-c", catalog, "--search", "nothing", "--json").out.strip() == "[]"
    shown = armillary("hub-device", "show", "-d", name, "--json")
    assert (shown.code, shown.json["device_id"]) == (0, device)
    assert armillary("hub-device", "rename", "-d", name, "--name", "").code == 0
    assert armillary("hub-device", "show", "-d", device, "--json").json["name"] == device
    assert armillary("device", "twin", "show", "-d", device).code == 0
    attests = armillary("device", "show", "-d", device)
    assert (attests.code, "hub device" in attests.err) == (1, True)
