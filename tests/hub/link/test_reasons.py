# SPDX-License-Identifier: Apache-2.0
"""The hub says nothing that the specification does not let it say."""

from __future__ import annotations

import ast
from pathlib import Path

import armillary.hub
from armillary.hub.link.reasons import Reason
from armillary.wire.mqtt.packet import PacketType
from armillary.wire.mqtt.reasons import CODES_OF_PACKET

FOLDER = Path(armillary.hub.__file__).parent


def given_to(method: str) -> set[str]:
    """Names of the reasons that the hub's code passes to a method."""
    found: set[str] = set()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
                found |= {
                    each.attr
                    for argument in node.args[:1]
                    for each in ast.walk(argument)
                    if isinstance(each, ast.Attribute) and getattr(each.value, "id", "") == "Reason"
                }
    return found


def test_connections_are_closed_with_codes_of_disconnect() -> None:
    named = given_to("close")
    assert {"TAKEN_OVER", "SHUTTING_DOWN", "NOT_KEPT", "KEEP_ALIVE"} <= named
    for name in named:
        assert Reason[name].value.level_5 in CODES_OF_PACKET[PacketType.DISCONNECT], name


def test_connections_are_refused_with_codes_of_connack() -> None:
    named = given_to("refuse")
    assert {"CLIENT_ID", "NOT_AUTHORIZED", "UNAVAILABLE"} <= named
    for name in named:
        assert Reason[name].value.level_5 in CODES_OF_PACKET[PacketType.CONNACK], name
        assert 1 <= Reason[name].value.level_3_1_1 <= 5, name
