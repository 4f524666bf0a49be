# SPDX-License-Identifier: Apache-2.0
"""What is explained of each manifest key, asked for alone on an MT3620; ``explained.json`` holds it.

``python -m tests.capability.explained`` writes the file anew after a change; read the difference before it is kept.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.fixtures import images

from armillary import content
from armillary.boot import profile
from armillary.capability.explain import Explanation, explain
from armillary.capability.grant import platform_limits
from armillary.wire.image.app_manifest import CAPABILITY_KEYS, Capabilities, parse

FILE = Path(__file__).with_suffix(".json")
CHIP = platform_limits(profile.parse(content.chip_document("mt3620")))
OTHER = str(UUID(int=2))
# What is asked for of each key that is not true or false.
ASKED: Mapping[str, Any] = {
    "AllowedConnections": ["hub.example.com", "192.0.2.1"],
    "AllowedTcpServerPorts": [8080],
    "AllowedUdpServerPorts": [5683],
    "AllowedApplicationConnections": [OTHER],
    "Gpio": [8, 9],
    "Uart": ["ISU0"],
    "I2cMaster": ["ISU1"],
    "SpiMaster": ["ISU2"],
    "Pwm": ["PWM-CONTROLLER-1"],
    "Adc": ["ADC-CONTROLLER-0"],
    "I2sSubordinate": ["I2S0"],
    "MutableStorage": {"SizeKB": 64},
    "PowerControls": ["ForceReboot"],
    "DeviceAuthentication": OTHER,
}


def asked(key: str) -> Any:
    attribute = CAPABILITY_KEYS[key][0]
    return True if isinstance(getattr(Capabilities(), attribute), bool) else ASKED[key]


def explained(**capabilities: Any) -> Explanation:
    return explain(parse(images.manifest("test", UUID(int=1), Capabilities=capabilities)), CHIP)


def all_keys() -> dict[str, Any]:
    """Key -> its answer, and ``always``, as JSON values."""
    found: dict[str, Any] = {}
    for key in CAPABILITY_KEYS:
        (answer,) = explained(**{key: asked(key)}).answers
        found[key] = dataclasses.asdict(answer)
    found["always"] = explained().always
    return json.loads(json.dumps(found))


if __name__ == "__main__":
    FILE.write_text(json.dumps(all_keys(), indent=1) + "\n", "utf-8")
