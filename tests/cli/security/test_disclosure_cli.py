# SPDX-License-Identifier: Apache-2.0
"""``armillary disclosure`` and ``armillary vulnerability-report``, as people type them."""

from __future__ import annotations

from pathlib import Path

from tests.api.running_service import RunningService, own_service
from tests.cli.conftest import Command
from tests.wire.disclosure.test_security_txt import SIGNED

service = own_service()
ROUTE = "/api/v1/public/vulnerability-reports"


def test_from_nothing_to_a_closed_report(armillary: Command, service: RunningService) -> None:
    assert armillary("disclosure", "show", "--json").json["is_published"] is False
    assert armillary("disclosure", "set").code == 2
    done = armillary(
        "disclosure", "set", "--contact", "mailto:security@example.com", "--contact", "https://example.com/report",
        "--languages", "en, de", "--intake", "on", "--acknowledge-days", "3",
    )  # fmt: skip
    assert done.code == 0, done.err
    shown = armillary("disclosure", "show", "--json").json
    assert (shown["contacts"], shown["languages"], shown["acknowledge_days"], shown["is_open"]) == (
        ["mailto:security@example.com", "https://example.com/report"],
        ["en", "de"],
        3,
        True,
    )
    hostile = {"title": "\x1b[31mred", "description": "first line\nsecond\x07 line", "contact": "finder@example.com"}
    reference = service.call("POST", ROUTE, hostile, token=None).body["reference"]
    told = service.call("GET", "/api/v1/findings?kind=vulnerability-reported").body["items"]
    assert [reference in each["title"] for each in told] == [True]
    listed = armillary("vulnerability-report", "list")
    assert reference in listed.out
    assert "red" not in listed.out, "what it says is shown by show alone"
    read = armillary("vulnerability-report", "show", reference)
    assert "\nfirst line\nsecond\\x07 line\n" in read.out
    assert "\x1b" not in read.out
    assert "finder@example.com" in read.out
    assert "reads" not in read.err
    assert armillary("vulnerability-report", "acknowledge", reference, "--note", "we thanked").code == 0
    again = armillary("vulnerability-report", "acknowledge", reference)
    assert (again.code, "acknowledged" in again.err) == (1, True)
    for state in ("in-work", "fixed"):
        assert armillary("vulnerability-report", "update", reference, "--state", state, "--json").json["state"] == state
    assert armillary("vulnerability-report", "update", reference, "--note", "told").code == 0
    service.make_catalog("Contoso", product="Coffee")
    given = armillary("vulnerability-report", "assign", reference, "-c", "Contoso", "-p", "Coffee", "--json").json
    assert (given["catalog"], given["product"]) == ("Contoso", "Coffee")
    assert armillary("vulnerability-report", "list", "-c", "Contoso", "--json").json[0]["reference"] == reference
    closed = armillary("vulnerability-report", "close", reference, "--reason", "fixed in 3.2", "--json").json
    assert (closed["state"], closed["due_at"]) == ("closed", None)
    assert armillary("vulnerability-report", "list", "--json").json == []
    notes = armillary("vulnerability-report", "show", reference, "--json").json["notes"]
    assert [each["action"] for each in notes] == ["acknowledge", "work", "fix", "tell", "assign", "close"]
    assert armillary("vulnerability-report", "reopen", reference, "--json").json["state"] == "in-work"
    assert armillary("vulnerability-report", "show", "VR-NONE-NONE-NONE").code == 1
    about = ("case", "aware", "--report", reference, "--json")
    assert armillary(*about).json["about"] == [{"subject": "vulnerability-report", "id": reference}]
    assert armillary("case", "aware", "--report", "VR-NONE-NONE-NONE").code == 1


def test_a_file_of_ones_own_and_nothing_any_more(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    file = tmp_path / "security.txt"
    file.write_bytes(SIGNED)
    assert armillary("disclosure", "set", "--signed-file", str(file)).code == 0
    assert service.call("GET", "/.well-known/security.txt", token=None).raw == SIGNED
    file.write_bytes(b"\xff")
    assert armillary("disclosure", "set", "--signed-file", str(file)).code == 1
    assert armillary("disclosure", "set", "--signed-file", "", "--contact", "mailto:a@example.com").code == 0
    assert b"mailto:a@example.com" in service.call("GET", "/.well-known/security.txt", token=None).raw
    wrong = armillary("disclosure", "set", "--contact", "a@example.com")
    assert (wrong.code, "mailto:" in wrong.err) == (1, True)
    assert armillary("disclosure", "clear", "--yes").code == 0
    assert service.call("GET", "/.well-known/security.txt", token=None).status == 404
