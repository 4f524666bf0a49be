# SPDX-License-Identifier: Apache-2.0
"""A device changes hands: its new owner sees nothing of the time before; the service's administrator sees all of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.api.central_client import Central, make_template
from tests.api.native.platform.test_native_rules import hot, put, say
from tests.api.running_service import CATALOGS, VERSION as AZURE, RunningService, fresh, wait_until
from tests.attacks.owners import owner
from tests.fixtures.reports import crash, reverted

from armillary.api.http import tenure
from armillary.engines.series.restoring import Restored
from armillary.service.registry.devices import Devices
from armillary.wire.hub.cloud_message import CloudMessage

HOUR_MS = 3_600_000
CRASH, TAKEN_BACK = crash(description="AppCrash (exit_status=11) of-alice"), reverted(reason="it crashed, of-alice")


class Sale:
    """Alice's device with a past, that is Bob's now.

    Attributes:
        sold_ms: When it became his, to the second.
        present_ms: After the next whole hour: where his values are.
    """

    def __init__(self, service: RunningService) -> None:
        self.service, self.alice, self.bob = service, owner(service), owner(service)
        self.device = self.alice.device.device_id
        self.group, self.board = fresh("g"), fresh("b")
        self.now = int(time.time() * 1000)
        with self.alice.device as its:
            its.check_in(error_reports=(CRASH,), outcomes=(TAKEN_BACK,))
            assert its.exchange("POST", "/v1/check-in", b"not a check-in").status == 400
        refusals = service.service.registry.history.refusals
        wait_until(lambda: refusals(device_id=self.device).items, "the refusal is recorded")
        self.rule = fresh("r")
        warm = [{"telemetry": "temperature", "op": ">", "value": 30}]
        put(service, self.rule, {**hot(None), "conditions": warm})  # of all catalogs
        say(service, self.device, {"temperature": 31.25})
        wait_until(lambda: service.platform.rules.trace(self.rule, self.device), "looked at")
        self.keep(self.now - 2 * HOUR_MS, 11.0)
        self.keep(self.now - 60_000, 12.0)
        hub = service.hub
        hub.mailboxes.send(self.device, CloudMessage(message_id="of-alice", body=b"secret", ack="full"))
        self.upload = hub.files.begin(self.device, "past.txt")[0].upload_id
        time.sleep(1.1 - time.time() % 1)  # claimed_at has whole seconds: this is after everything above
        self.alice.give_device(self.bob)
        self.sold_ms = (service.service.registry.devices.get(self.device).claimed_at or 0) * 1000
        self.present_ms = -(-self.sold_ms // HOUR_MS) * HOUR_MS + 60_000
        body = {"name": "all", "catalog": self.bob.name}
        assert self.bob.call("PUT", f"/groups/{self.group}?catalog={self.bob.name}", body).status == 200
        place = {"x": 0, "w": 4, "h": 4}
        tiles = [
            {"id": "now", "kind": "kpi", "source": {"device": self.device}, "value": "t", "y": 0, **place},
            {"id": "line", "kind": "line", "source": {"device": self.device}, "values": ["t"], "y": 4, **place},
            {"id": "all", "kind": "line", "source": {"group": self.group}, "values": ["t"], "y": 8, **place},
        ]
        board = {"name": "Board", "catalog": self.bob.name, "tiles": tiles}
        made = self.bob.call("PUT", f"/dashboards/{self.board}?catalog={self.bob.name}", board)
        assert made.status == 200, made.raw
        self.template = make_template(Central(service, self.bob.name, self.bob.token))
        central = Central(service, self.bob.name, self.bob.token)
        central.good("PATCH", f"/devices/{self.device}", {"template": self.template})

    def keep(self, at_ms: int, value: float) -> None:
        """A value of the device."""
        store = self.service.hub.series
        (number,) = store.commits.submit(store.restoring.devices([self.device])).result(10).values()
        store.commits.submit(store.restoring.points([Restored(number, "t", at_ms, value, 0)], self.now)).result(10)

    def reads(self, call: Any) -> dict[str, bytes]:
        """What somebody gets by each read, as it is sent."""
        start, end = self.now - 24 * HOUR_MS, self.present_ms + HOUR_MS
        span, own = f"start_ms={start}&end_ms={end}", f"catalog={self.bob.name}"
        device, group = f"/devices/{self.device}", f"/groups/{self.group}/telemetry"
        paths = {
            "latest": f"{device}/telemetry", "series": f"{device}/telemetry/series?metric=t&{span}",
            "raw": f"{device}/telemetry/raw?metric=t&{span}", "export": f"{device}/telemetry/export",
            "group latest": f"{group}/latest?metric=t&{own}", "group export": f"{group}/export?{own}",
            "aggregate": f"{group}/aggregate?metric=t&{span}&{own}", "template": f"{device}/template",
            "files": f"{device}/files", "messages": f"{device}/messages", "check-ins": f"{device}/check-ins",
            "dashboard": f"/dashboards/{self.board}/data?range_s=86400&{own}",
            "errors": f"{device}/error-reports", "all errors": f"/error-reports?{own}",
            "trace": f"/rules/{self.rule}/trace/{self.device}", "outcomes": f"{device}/outcomes",
            "refusals": f"{device}/refusals",
        }  # fmt: skip
        found = {}
        for name, path in paths.items():
            reply = call("GET", path)
            assert reply.status == 200, (name, reply.raw)
            found[name] = reply.raw
        return found

    def public_reads(self, token: str) -> dict[str, bytes]:
        """The same in the shapes of public APIs, for a token of a catalog or of all."""
        central, window = Central(self.service, self.bob.name, token), "WITHIN_WINDOW(P1D)"
        query = {"query": f"SELECT $ts, temperature FROM {self.template} WHERE {window}"}  # noqa: S608 - no SQL
        insights = f"{CATALOGS}/{self.bob.name}/listDeviceInsights?{AZURE}"
        return {
            "last": central.call("GET", f"/devices/{self.device}/telemetry/temperature").raw,
            "query": central.call("POST", "/query", query, version="2022-10-31-preview").raw,
            "insights": self.service.call("POST", insights, token=token).raw,
        }


@pytest.fixture(scope="module")
def sale(service: RunningService) -> Sale:
    return Sale(service)


# What is of Alice's time, as it stands in answers.
OLD = (b"11.0", b"12.0", b"31.25", b"of-alice", b"past.txt")


def leaks(found: dict[str, bytes]) -> set[str]:
    said = {name for name, raw in found.items() if any(each in raw for each in OLD)}
    rows = {"check-ins": b"attested", "refusals": b'"code"'}  # of these any row at all is of the time before
    return said | {name for name, word in rows.items() if word in found.get(name, b"")}


def test_a_new_owner_sees_nothing_of_the_time_before(sale: Sale) -> None:
    assert leaks(sale.reads(sale.bob.call)) == set()
    gone = sale.bob.call("GET", f"/devices/{sale.device}/files/{sale.upload}")
    assert gone.status == 404
    assert sale.bob.call("DELETE", f"/devices/{sale.device}/files/{sale.upload}").status == 404


def test_the_services_administrator_sees_all_of_it(sale: Sale) -> None:
    everything = leaks(sale.reads(lambda method, path: sale.service.call(method, "/api/v1" + path)))
    assert everything == {
        "latest", "series", "raw", "export", "group latest", "group export", "aggregate", "template", "files",
        "messages", "check-ins", "dashboard", "errors", "all errors", "trace", "outcomes", "refusals",
    }  # fmt: skip


def test_nor_in_the_shapes_of_public_apis(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sale.public_reads(sale.bob.token)
    assert leaks(found) == set()
    assert b"results" in found["query"]
    monkeypatch.setattr(Devices, "second_hand", lambda *_: {})
    assert leaks(sale.public_reads(sale.bob.token)) == {"last", "query", "insights"}  # the control


def test_a_trial_of_a_rule_begins_when_the_device_came(sale: Sale) -> None:
    body = {"devices": [sale.device], "start_ms": sale.now - 24 * HOUR_MS, "end_ms": sale.present_ms}
    place = f"/rule-test?catalog={sale.bob.name}"
    (tried,) = sale.bob.call("POST", place, {**body, "rule": hot(sale.bob.name)}).body["devices"]
    assert (tried["messages"], tried["unconcerned"]) == (0, None)
    everything = sale.service.call("POST", "/api/v1/rule-test", {**body, "rule": hot(None)}).body["devices"]
    assert everything[0]["messages"] == 2  # the control: a rule of all catalogs, by who sees all of them


def test_the_former_owner_sees_nothing_of_the_device_any_more(sale: Sale) -> None:
    assert sale.alice.call("GET", f"/devices/{sale.device}/telemetry").status == 404


def test_without_the_look_at_the_tenure_the_attack_gets_through(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Devices, "second_hand", lambda *_: {})
    assert len(leaks(sale.reads(sale.bob.call))) >= 9


def test_a_filter_of_a_group_does_not_see_the_last_value_of_before(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    name = fresh("w")
    filters = [{"field": "telemetry:t", "operator": "gt", "value": 1}]
    body = {"name": "warm", "catalog": sale.bob.name, "filters": filters}
    assert sale.bob.call("PUT", f"/groups/{name}?catalog={sale.bob.name}", body).status == 200
    place = f"/groups/{name}/members?catalog={sale.bob.name}"
    ids = [each["device_id"] for each in sale.bob.call("GET", place).body["items"]]
    assert sale.device not in ids
    monkeypatch.setattr(type(sale.service.platform.directory), "second_hand", lambda *_: {})
    ids = [each["device_id"] for each in sale.bob.call("GET", place).body["items"]]
    assert sale.device in ids  # the control


def test_what_came_since_is_the_new_owners(sale: Sale) -> None:
    """Last: it adds a value."""
    sale.keep(sale.present_ms, 99.5)
    found = sale.reads(sale.bob.call)
    for name in ("latest", "series", "raw", "export", "group latest", "group export", "template"):
        assert b"99.5" in found[name], name
    assert leaks(found) == set()
    sale.bob.device.check_in()
    own = sale.bob.call("GET", f"/devices/{sale.bob.device.device_id}/check-ins").body["items"]
    assert len(own) == 1  # of a device that never had another owner everything is there


def test_tenures_in_numbers() -> None:
    assert tenure.whole_hours_since(0) == 0
    assert tenure.whole_hours_since(HOUR_MS) == HOUR_MS
    assert tenure.whole_hours_since(HOUR_MS + 1) == 2 * HOUR_MS
    assert tenure.own_through(["a", "b"], {"a": HOUR_MS}, HOUR_MS + 5) == ("a", "b")
    assert tenure.own_through(["a", "b"], {"a": HOUR_MS + 1}, HOUR_MS + 5) == ("b",)  # its first hour has both in it
    page = {"items": [{"at": 3}, {"at": 1}], "next": "1"}
    assert tenure.own_page(page, 2, "at") == {"items": [{"at": 3}], "next": None}
    assert tenure.own_page(page, 1, "at") == page
