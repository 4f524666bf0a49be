# SPDX-License-Identifier: Apache-2.0
"""``armillary device message`` and its routes: sent, listed, taken back, audited."""

from __future__ import annotations

from pathlib import Path

from tests.api.running_service import RunningService
from tests.cli.conftest import Command


def test_messages_wait_are_listed_and_taken_back(
    armillary: Command, service: RunningService, device: str, tmp_path: Path
) -> None:
    message = ("device", "message")
    sent = armillary(
        *message, "send", "-d", device, "--text", "close", "--property", "why=frost", "--ack", "full", "--json"
    ).json
    assert (sent["state"], sent["size"], sent["ack"]) == ("waiting", 5, "full")
    (tmp_path / "body").write_bytes(b"\x00\x01")
    assert armillary(*message, "send", "-d", device, "--file", str(tmp_path / "body"), "--expires", "30m").code == 0
    listed = armillary(*message, "list", "-d", device, "--json").json
    assert [each["size"] for each in listed] == [2, 5]
    assert sent["message_id"] in armillary(*message, "list", "-d", device).out
    assert "2 messages purged" in armillary(*message, "purge", "-d", device, "--yes").err
    assert [each["state"] for each in armillary(*message, "list", "-d", device, "--json").json] == ["purged"]
    assert armillary(*message, "send", "-d", device).code == 2
    assert armillary(*message, "send", "-d", device, "--text", "x", "--property", "=y").code == 2
    operations = [line["operation"] for line in service.call("GET", "/api/v1/audit?limit=20").body["items"]]
    assert {"device.message", "device.message-purge"} <= set(operations)


def test_what_makes_no_sense_is_refused_and_sends_nothing(service: RunningService, device: str) -> None:
    path = f"/api/v1/devices/{device}/messages"
    for body in (
        {}, {"text": "a", "body_base64": "YQ=="}, {"body_base64": "!"}, {"text": "a", "lifetime_s": 0},
        {"text": "a", "properties": {"$.mid": "x"}}, {"text": "a", "message_id": "no space"}, {"text": "a", "x": 1},
    ):  # fmt: skip
        assert service.call("POST", path, body).status == 400, body
    assert service.call("GET", path).body == {"items": [], "next": None}
    for _ in range(50):
        assert service.call("POST", path, {"text": "a"}).status == 200
    full = service.call("POST", path, {"text": "a"})
    assert (full.status, full.headers["Retry-After"]) == (429, "60")
