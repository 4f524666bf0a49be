# SPDX-License-Identifier: Apache-2.0
"""What actions do reaches who is to know of it, in the words of OCSF."""

from __future__ import annotations

import json

from tests.fixtures.waiting import wait_until
from tests.service.response.acted_on import ActedOn
from tests.wire.notification import test_ocsf

from armillary.identity.operator import Operator
from armillary.service.notifications.channels import ChannelForm

BOSS = Operator("boss", "Administrator", None, None)


def test_each_state_of_an_action_is_told_as_a_remediation(fleet: ActedOn) -> None:
    notifications = fleet.service.notifications
    notifications.start()
    try:
        form = ChannelForm(name="siem", kind="ocsf-file", options={}, topics=("action",))
        made = notifications.channels.create(form, None, operator=BOSS)
        other = ChannelForm(name="other", kind="ocsf-file", options={}, topics=("action",), min_severity="critical")
        quiet = notifications.channels.create(other, "Fabrikam", operator=BOSS)
        ids = fleet.many(2)
        action = fleet.run("quarantine", devices=ids)
        fleet.actions.undo(action.action_id, actor="ben")
        found = fleet.finding("hub-anomaly", ids[0])
        fleet.run("notify", finding=str(found.finding_id), channel="siem", message="Look at it")
        notifications.wake()
        wait_until(lambda: not notifications.channels.get(made.channel_id, None).status.waiting, "all events")
        folder = fleet.service.context.folder.path / "notifications" / str(made.channel_id)
        events = [json.loads(line) for each in sorted(folder.iterdir()) for line in each.read_text().splitlines()]
    finally:
        notifications.close()
    for each in events:
        test_ocsf.check(each)
    told = [(each["metadata"]["event_code"], each["activity_name"], each["status_id"]) for each in events]
    assert ("action.done", "Isolate", 1) in told
    assert ("action.undone", "Isolate", 1) in told
    assert any(each["message"] == "Look at it" for each in events)
    assert {each["command_uid"] for each in events} >= {str(action.action_id)}
    assert [each["metadata"]["sequence"] for each in events] == list(range(1, len(events) + 1))
    assert notifications.channels.get(quiet.channel_id, None).status.delivered == 0  # another catalog's
