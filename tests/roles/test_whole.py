# SPDX-License-Identifier: Apache-2.0
"""The parts of one process are joined before anybody is let in: the first message after a start is seen by rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import running_service, wait_until
from tests.attacks.test_hub_device_attacks import Client, sas_device, token

from armillary.hub.link.gate import Gate
from armillary.platform.rules.rules import Rules

HOT = {"name": "Hot", "catalog": "Contoso", "conditions": [{"telemetry": "t", "op": ">", "value": 30}]}


def test_rules_have_begun_before_the_hub_listens_and_see_the_first_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_service(tmp_path) as service:
        service.service.registry.catalogs.create("Contoso", actor="test")
        service.service.hub_access.identities.set_admission(
            "Contoso", actor="test", certificates=True, symmetric_keys=True
        )
        device, keys = sas_device(service, "Contoso")
        assert service.call("PUT", "/api/v1/rules/hot", HOT).status == 200
    begun: list[str] = []
    start, listen = Rules.start, Gate.listen

    async def rules_start(rules: Rules) -> None:
        await start(rules)
        begun.append("rules" if rules.is_active else "no rule")

    async def gate_listen(gate: Gate[Any], *arguments: Any) -> int:
        begun.append("hub")
        return await listen(gate, *arguments)

    monkeypatch.setattr(Rules, "start", rules_start)
    monkeypatch.setattr(Gate, "listen", gate_listen)
    with running_service(tmp_path) as service:
        assert begun[:2] == ["rules", "hub"]
        with Client(service, device, password=token(device, keys.primary)) as client:
            client.wait_published(client.client.publish(f"devices/{device}/messages/events/", b'{"t": 31}', qos=1).mid)
        reader = service.token_of("Reader")
        (alert,) = wait_until(lambda: service.call("GET", "/api/v1/alerts?rule=hot", token=reader).body["items"], "it")
        assert (alert["device_id"], alert["trace"]["conditions"]) == (device, ["t is 31, > 30: met"])
