# SPDX-License-Identifier: Apache-2.0
"""Board configurations: any bytes are one or a ManifestError; what parses survives encode and parse."""

from __future__ import annotations

from armillary.errors import ManifestError
from armillary.wire.image import board_configuration


def seeds() -> list[bytes]:
    return [
        (
            b'{"SchemaVersion":1,"Name":"a","ComponentId":"2f074b0f-d99d-4692-82d9-ef93a7d6463c","Chip":"mt3620",'
            b'"Peripherals":{"Gpio":[5],"SpiMaster":["ISU0"]}}'
        ),
        (
            b'{"SchemaVersion":1,"Name":"a","ComponentId":"2f074b0f-d99d-4692-82d9-ef93a7d6463c","Chip":"imx8mp",'
            b'"Peripherals":{"Pwm":["PWM-1"],"Adc":["A"],"I2sSubordinate":["I2S0"],"Uart":["U1"],"I2cMaster":["I2"]}}'
        ),
    ]


def fuzz(data: bytes) -> None:
    try:
        found = board_configuration.parse(data)
    except ManifestError:
        return
    assert board_configuration.parse(board_configuration.encode(found)) == found
