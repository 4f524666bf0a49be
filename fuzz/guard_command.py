# SPDX-License-Identifier: Apache-2.0
"""Payloads of commands for equipment: any is a permit within its range or one refusal, and its record is plain JSON."""

from __future__ import annotations

import json

from armillary.content import equipment
from armillary.guard.auditing import Attempt, Outcome
from armillary.guard.commanding import judge_command, read_command
from armillary.guard.compiling import compile_profile
from armillary.guard.situation import CommandHistory, Moment, Seen, Situation
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.reading import Quality, Reading
from armillary.wire.equipment.request import ModbusRequest

COFFEE = compile_profile(equipment.load("coffee"))
NOW = Moment(1_795_852_800.0, 1000.0, synced=True)  # 2026-11-28T08:00:00Z
READINGS = {
    name: Seen(Reading(name, value, Quality.GOOD, NOW.unix), NOW.monotonic)
    for name, value in (("state", "idle"), ("brewTempSetting", 92.0))
}
GOOD = {"value": 93.0, "nonce": "A" * 22, "expires": "2026-11-28T08:01:00Z"}
RECORD_BYTES = 600


def seeds() -> list[bytes]:
    """A good payload, and each part of it wrong."""
    wrong = ({"value": True}, {"value": 1e308}, {"nonce": "short"}, {"expires": "2026-11-28T08:06:00Z"}, {"more": []})
    return [json.dumps({**GOOD, **change}).encode() for change in ({}, *wrong)]


def fuzz(data: bytes) -> None:
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return
    outcome, rule = Outcome.DONE, None
    try:
        request = read_command("setBrewTemp", payload)
        situation = Situation(readings=READINGS, history=CommandHistory())
        permit = judge_command(COFFEE.profile, COFFEE.allow, request, situation, NOW)
        assert isinstance(permit.request, ModbusRequest)
        assert 900 <= int.from_bytes(permit.request.pdu[3:], "big") <= 940
        assert list(situation.history.nonces) == [request.nonce]
    except GuardRefusedError as error:
        outcome, rule = Outcome.REFUSED, error.rule
    value = payload.get("value") if isinstance(payload, dict) else payload
    body = Attempt(command="setBrewTemp", value=value, outcome=outcome, rule=rule, by="hub").body()
    assert len(json.dumps(body, allow_nan=False)) < RECORD_BYTES
