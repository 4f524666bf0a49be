# SPDX-License-Identifier: Apache-2.0
"""Who is told of what in one answer; what is of others, and where the mail server is, no catalog's token sees."""

from __future__ import annotations

from typing import Any

from tests.api.running_service import RunningService, fresh, own_service

service = own_service(scope="module", smtp_host="mail.inside.example", smtp_from="armillary@example.com")

DESK = {"kind": "e-mail", "options": {"to": ["desk@example.com"]}}
RULE = {"name": "Hot", "conditions": [{"telemetry": "t", "op": ">", "value": 9}]}


def made(service: RunningService, path: str, body: dict[str, Any], method: str = "POST") -> None:
    answer = service.call(method, path, body)
    assert answer.status in (200, 201), answer.body


def told(found: dict[str, Any], event: str, severity: str | None = None) -> list[str]:
    (line,) = (each for each in found["events"] if (each["event"], each["severity"]) == (event, severity))
    return [each["name"] for each in line["told"]]


def test_the_overview_says_who_is_told_and_which_rules_reach_nobody(service: RunningService) -> None:
    mine, theirs = (service.make_catalog(fresh("C")) for _ in range(2))
    made(service, f"/api/v1/notification-channels?catalog={mine}", {**DESK, "name": "Mine", "min_severity": "high"})
    made(service, f"/api/v1/notification-channels?catalog={theirs}", {**DESK, "name": "Theirs"})
    made(service, "/api/v1/notification-channels", {**DESK, "name": "Mine", "topics": ["action"]})
    loud, silent = fresh("loud"), fresh("silent")
    naming = [{"name": "desk", "kind": "channel", "channel": "mine"}]
    made(service, f"/api/v1/rules/{loud}", {**RULE, "catalog": mine, "actions": naming}, "PUT")
    made(service, f"/api/v1/rules/{silent}", {**RULE, "catalog": theirs}, "PUT")

    found = service.call("GET", f"/api/v1/notification-overview?catalog={mine}").body
    assert (told(found, "finding", "high"), told(found, "finding", "low"), told(found, "clock")) == (
        ["Mine"],
        [],
        ["Mine"],
    )
    assert [each["rules"] for each in found["events"][-1]["told"]] == [1]
    assert silent not in [each["id"] for each in found["silent_rules"]]

    whole = service.call("GET", "/api/v1/notification-overview").body
    assert whole["mail"] == {
        "is_set": True, "host": "mail.inside.example", "port": 587, "security": "starttls",
        "sender": "armillary@example.com",
    }  # fmt: skip
    assert {"Theirs"} <= set(told(whole, "finding", "low"))
    by_owner = {each["catalog"]: each["rules"] for each in whole["events"][-1]["told"] if each["name"] == "Mine"}
    assert by_owner == {mine: 1}, "a rule of one catalog names none of the whole service"
    (quiet,) = (each for each in whole["silent_rules"] if each["id"] == silent)
    assert (quiet["catalog"], "no actions" in quiet["why"][0]) == (theirs, True)


def test_a_catalogs_token_sees_its_own_and_not_where_the_mail_server_is(service: RunningService) -> None:
    mine, theirs = (service.make_catalog(fresh("C")) for _ in range(2))
    name, silent = fresh("secret-desk"), fresh("silent")
    made(service, f"/api/v1/notification-channels?catalog={theirs}", {**DESK, "name": name})
    made(service, f"/api/v1/rules/{silent}", {**RULE, "catalog": theirs}, "PUT")
    answer = service.call(
        "GET", f"/api/v1/notification-overview?catalog={mine}", token=service.token_for(mine, "Reader")
    )
    assert answer.status == 200, answer.body
    assert answer.body["mail"] == {"is_set": True, "host": None, "port": None, "security": None, "sender": None}
    for word in (name, silent, theirs, "mail.inside"):
        assert word not in str(answer.body)


def test_channels_that_chose_alerts_are_told_of_all_and_rules_without_actions_reach_them(
    service: RunningService,
) -> None:
    mine = service.make_catalog(fresh("C"))
    graver, milder = fresh("graver"), fresh("milder")
    for rule, severity in ((graver, "high"), (milder, "low")):
        made(service, f"/api/v1/rules/{rule}", {**RULE, "catalog": mine, "severity": severity}, "PUT")

    def silent() -> set[str]:
        found = service.call("GET", f"/api/v1/notification-overview?catalog={mine}").body
        return {each["id"] for each in found["silent_rules"]}

    assert {graver, milder} <= silent()
    body = {**DESK, "name": "Alerts", "topics": ["alert"], "min_severity": "high"}
    made(service, f"/api/v1/notification-channels?catalog={mine}", body)
    found = service.call("GET", f"/api/v1/notification-overview?catalog={mine}").body
    (told_of,) = (each["told"] for each in found["events"] if each["event"] == "alert")
    assert [(each["name"], each["from"], each["rules"]) for each in told_of] == [("Alerts", "high", 0)]
    assert told(found, "finding", "high") == []
    assert silent() & {graver, milder} == {milder}
    assert service.call("GET", f"/api/v1/rules/{graver}?catalog={mine}").body["unreachable"] == []


def test_what_a_channel_is_told_is_changed_by_an_administrator_of_its_catalog(service: RunningService) -> None:
    mine, theirs = (service.make_catalog(fresh("C")) for _ in range(2))
    made(service, f"/api/v1/notification-channels?catalog={theirs}", {**DESK, "name": "Theirs"})
    (channel,) = service.call("GET", f"/api/v1/notification-channels?catalog={theirs}").body["items"]
    path = f"/api/v1/notification-channels/{channel['channel_id']}"
    for catalog, role, status in (
        (mine, "Administrator", 404),
        (theirs, "Contributor", 403),
        (theirs, "Administrator", 200),
    ):
        token = service.token_for(catalog, role)
        answer = service.call("PATCH", f"{path}?catalog={catalog}", {"min_severity": "high"}, token=token)
        assert answer.status == status, answer.body
    assert answer.body["min_severity"] == "high"
    for body, words in (({}, "nothing to change"), ({"topics": ["x"]}, "topics: expected"), ({"name": "x"}, "name")):
        refused = service.call("PATCH", path, body)
        assert (refused.status, words in str(refused.body)) == (400, True), refused.body
