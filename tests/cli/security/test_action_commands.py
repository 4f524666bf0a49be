# SPDX-License-Identifier: Apache-2.0
"""Actions and playbooks from the command line to the records and back, over the API, with two people."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary import content


@pytest.fixture
def place(service: RunningService) -> str:
    return service.make_catalog(f"acted-{uuid.uuid4().hex[:8]}", product="Coffee")


def test_devices_are_set_apart_by_one_command_and_let_go_by_another(
    armillary: Command, service: RunningService, place: str
) -> None:
    device = service.claimed(place).device_id
    aimed = ("--devices", device, "-c", place)
    found = armillary("action", "preview", "quarantine", *aimed, "--for", "7d", "--json").json
    assert (found["devices"], found["first"], found["undo"]) == (1, [device], "")
    shown = armillary("action", "preview", "revoke", *aimed)
    assert "it cannot be undone" in shown.out
    made = armillary("action", "run", "quarantine", *aimed, "--for", "7d", "--reason", "odd", "--yes", "--json").json
    assert (made["state"], made["done"], made["asked_by"]) == ("done", 1, "first-start")
    assert armillary("device", "show", "-d", device, "--json").json["health"] == "quarantined"
    listed = armillary("action", "list", "--state", "all", "-c", place, "--json").json
    assert [each["action_id"] for each in listed] == [made["action_id"]]
    short = armillary("action", "list", "--state", "all", "-c", place).out.splitlines()[1].split()[0]
    assert short == made["action_id"][:8]
    assert armillary("action", "show", "-a", short, "-c", place, "--json").json["action_id"] == made["action_id"]
    shown = armillary("action", "show", "--action", made["action_id"])
    assert device[:16] in shown.out
    assert armillary("action", "undo", "--action", made["action_id"], "--json").json["state"] == "undone"
    assert armillary("device", "show", "-d", device, "--json").json["health"] == "never"
    again = armillary("device", "quarantine", "-d", device, "--reason", "odd", "--for", "10m", "--yes", "--json").json
    assert again["health"] == "quarantined"
    assert armillary("device", "release", "-d", device, "--yes", "--json").json["quarantined_at"] is None


def test_a_second_person_approves_and_what_is_not_approved_is_cancelled(
    armillary: Command, service: RunningService, place: str
) -> None:
    asked = armillary("action", "approval", "-c", place, "--above", "0", "--expires", "1h", "--json").json
    assert (asked["second_person_above"], asked["expires_after_s"]) == (0, 3600)
    device = service.claimed(place).device_id
    ran = armillary("action", "run", "re-attest", "-d", device, "-c", place, "--reason", "r", "--yes")
    assert "it waits for a second person: armillary action approve" in ran.err
    (waiting,) = armillary("action", "list", "-c", place, "--json").json
    refused = armillary("action", "approve", "--action", waiting["action_id"])
    assert "cannot approve it" in refused.err
    ben = service.service.tokens.create(f"ben-{place}", "Contributor", actor="somebody").secret
    done = armillary("action", "approve", "--action", waiting["action_id"], "--token", ben, "--json").json
    assert (done["state"], done["approved_by"]) == ("done", f"ben-{place}")
    armillary("action", "run", "re-attest", "-d", device, "-c", place, "--reason", "r", "--yes")
    (waiting,) = armillary("action", "list", "-c", place, "--json").json
    assert armillary("action", "cancel", "--action", waiting["action_id"], "--json").json["state"] == "cancelled"
    assert "No such action" in armillary("action", "list", "-c", place).err


def test_a_fix_is_as_careful_as_one_says(armillary: Command, service: RunningService, place: str) -> None:
    wrong = ("action", "preview", "deploy-fix", "--advisory", "CVE-2026-0001", "-c", place)
    assert "--cohorts" in armillary(*wrong, "--cohorts", "all").err
    unknown = armillary(*wrong, "--cohorts", "1,100", "--soak", "10m")
    assert (unknown.code, "CVE-2026-0001" in unknown.err) == (1, True)


def test_floors_are_an_administrators_and_of_no_catalog(armillary: Command, service: RunningService) -> None:
    refused = armillary("action", "run", "raise-floor", "--floor", "mt3620", "--reason", "r", "--yes")
    assert "CHIP/IMAGE-TYPE/VERSION" in refused.err
    contributor = service.token_of("Contributor")
    low = ("action", "run", "raise-floor", "--floor", "mt3620/1/0", "--reason", "r", "--yes")
    assert "Administrator" in armillary(*low, "--token", contributor).err


def test_playbooks_are_listed_checked_enabled_and_disabled(armillary: Command, place: str, tmp_path: Path) -> None:
    listed = {each["name"]: each for each in armillary("playbook", "list", "-c", place, "--json").json}
    assert {name: each["is_enabled"] for name, each in listed.items()} == {
        "exploited-vulnerability": True, "failing-rollout": False, "proof-replayed": False,
    }  # fmt: skip
    enabled = armillary("playbook", "enable", "-p", "proof-replayed", "-c", place, "--json").json
    assert (enabled["is_enabled"], enabled["said_by_operator"]) == (True, True)
    assert armillary("playbook", "show", "-p", "proof-replayed", "--json").json["is_enabled"] is False
    assert "re-attest" in armillary("playbook", "show", "-p", "proof-replayed", "-c", place).out
    armillary("playbook", "disable", "-p", "proof-replayed", "-c", place)
    good = tmp_path / "mine.yml"
    good.write_text(content.playbook_files()["proof-replayed.yml"])
    assert "proof-replayed" in armillary("playbook", "check", "--file", str(good)).out
    good.write_text(good.read_text().replace("kind: notify", "kind: explode"))
    wrong = armillary("playbook", "check", "--file", str(good))
    assert "line 13, actions.0.kind" in wrong.err
