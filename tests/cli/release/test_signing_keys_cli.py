# SPDX-License-Identifier: Apache-2.0
"""``armillary release signing-keys``: what people see of a renewal, and what they are told where it is too early."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.running_service import RunningService, own_service
from tests.cli.conftest import Command

from armillary.engines.records.queries.planning import trust_stores as store_rows

service = own_service(scope="function")  # each test changes the keys of the whole service
NOUN = ("release", "signing-keys")


def states(found: Any) -> dict[str, list[str]]:
    return {
        purpose: [key["state"] for key in found["keys"] if key["purpose"] == purpose] for purpose in ("os", "images")
    }


def test_keys_are_renewed_used_and_dropped_by_command(armillary: Command, service: RunningService) -> None:
    service.service.updates.trust_stores.look()  # its own loop does not put the key in force by itself now
    first = armillary(*NOUN, "show")
    assert first.out.splitlines()[0].split() == ["purpose", "serial", "state", "subject", "ends_at"]
    assert first.out.splitlines()[3].split()[:5] == ["kind", "number", "in_force_at", "have", "waiting"]
    done = armillary(*NOUN, "renew", "--purpose", "images", "--json")
    assert states(done.json) == {"os": ["in force"], "images": ["in force", "next"]}
    again = armillary(*NOUN, "renew")
    assert again.code == 1
    assert "not in force yet" in again.err
    assert "hint: " in again.err
    assert states(armillary(*NOUN, "use", "--json").json)["images"] == ["old", "in force"]
    serial = next(key["serial"] for key in armillary(*NOUN, "show", "--json").json["keys"] if key["state"] == "old")
    assert armillary(*NOUN, "drop", serial).code == 1, "nobody said yes"
    dropped = armillary(*NOUN, "drop", serial, "--yes", "--json")
    assert states(dropped.json) == {"os": ["in force"], "images": ["in force"]}
    numbers = [(store["kind"], store["number"]) for store in dropped.json["stores"]]
    assert numbers == [("keys", 0), ("keys", 1), ("keys", 2), ("roots", 0)]
    gone = armillary(*NOUN, "drop", serial, "--yes")
    assert gone.code == 1
    assert f"there is no signing key '{serial}'" in gone.err


def test_a_key_in_force_and_other_purposes_are_refused(armillary: Command, service: RunningService) -> None:
    active = armillary(*NOUN, "show", "--json").json["keys"][0]["serial"]
    refused = armillary(*NOUN, "drop", active, "--yes")
    assert (refused.code, "it signs now" in refused.err) == (1, True)
    assert armillary(*NOUN, "renew", "--purpose", "silicon").code != 0
    assert armillary(*NOUN, "use").code == 1


def test_devices_without_the_store_are_left_behind_by_an_option_alone(
    armillary: Command, service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_rows, "having", lambda *_, **__: store_rows.Having(0, 1, 0, 0, 0))
    armillary(*NOUN, "renew")
    refused = armillary(*NOUN, "use")
    assert (refused.code, "1 may still take it" in refused.err) == (1, True)
    assert armillary(*NOUN, "use", "--despite").code == 1, "nobody said yes"
    assert states(armillary(*NOUN, "use", "--despite", "--yes", "--json").json)["os"] == ["old", "in force"]
