# SPDX-License-Identifier: Apache-2.0
"""``armillary capability explain`` names every method that a capability opens, and says recorded of none of these."""

from __future__ import annotations

from pathlib import Path

from tests.device.interface.asking import parts

from armillary.capability.key_rules import KEY_RULES
from armillary.device.interface.methods import method_table


def test_the_rule_of_a_capability_names_its_methods(tmp_path: Path) -> None:
    opened: dict[str, set[str]] = {}
    for row in method_table(parts(tmp_path)).rows:
        if row.capability is not None:
            opened.setdefault(row.capability.partition(".")[0], set()).add(row.name)
    opened["Gpio"] = {"gpio.open-output", "gpio.open-input"}  # the others are about what these opened
    opened["DeviceAuthentication"].remove("authentication.status")  # says what the folder says
    for key, methods in opened.items():
        rule = KEY_RULES[key]
        assert all(each in f"{rule.gets} {rule.device}" for each in methods), key
        assert " yet" not in rule.gets, key
