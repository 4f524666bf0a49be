# SPDX-License-Identifier: Apache-2.0
"""A rule that can reach nobody says why."""

from __future__ import annotations

from typing import Any

from armillary.twin.rule.json_form import from_json
from armillary.twin.rule.rule import Rule
from armillary.twin.rule.words import unreachable

MAIL = {"kind": "email", "to": ["desk@example.com"]}


def rule(*actions: Any) -> Rule:
    return from_json({"name": "Hot", "conditions": [{"telemetry": "t", "op": ">", "value": 1}], "actions": [*actions]})


def test_a_rule_without_actions_or_with_mail_and_no_mail_server_says_so() -> None:
    assert unreachable(rule(), has_mail_server=True, is_heard=False) == [
        "The rule has no actions: it creates an alert, and nobody is told"
    ]
    (said,) = unreachable(rule(MAIL), has_mail_server=False, is_heard=False)
    assert said.startswith("No mail server is set up (smtp_host, smtp_from)")
    assert unreachable(rule(MAIL), has_mail_server=True, is_heard=False) == []  # control
    assert unreachable(rule({"kind": "quarantine"}), has_mail_server=False, is_heard=False) == []


def test_a_rule_whose_alerts_a_channel_chose_reaches_it_and_whom_it_names_or_not() -> None:
    assert unreachable(rule(), has_mail_server=True, is_heard=True) == []
    (said,) = unreachable(rule(MAIL), has_mail_server=False, is_heard=True)
    assert said.startswith("No mail server is set up")
