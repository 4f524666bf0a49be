# SPDX-License-Identifier: Apache-2.0
"""Why the hub refuses or closes, in the codes of both protocol levels."""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Codes:
    """CONNACK return code of MQTT 3.1.1 (§3.2.2.3), and reason code of MQTT 5 (§2.4)."""

    level_3_1_1: int
    level_5: int


class Reason(enum.Enum):
    """One row a reason. 3.1.1 has five codes, and none for closing."""

    LEVEL = Codes(1, 0x84)
    CLIENT_ID = Codes(2, 0x85)
    BUSY = Codes(3, 0x97)
    UNAVAILABLE = Codes(3, 0x88)
    USER_NAME = Codes(4, 0x86)
    NOT_AUTHORIZED = Codes(5, 0x87)
    METHOD = Codes(5, 0x8C)
    WILL = Codes(5, 0x90)
    WITH_WILL = Codes(0, 0x04)
    MALFORMED = Codes(0, 0x81)
    PROTOCOL = Codes(0, 0x82)
    SHUTTING_DOWN = Codes(0, 0x8B)
    KEEP_ALIVE = Codes(0, 0x8D)
    TAKEN_OVER = Codes(0, 0x8E)
    TOPIC_FILTER = Codes(0, 0x8F)
    TOPIC_NAME = Codes(0, 0x90)
    PACKET_ID = Codes(0, 0x92)
    RECEIVE_MAXIMUM = Codes(0, 0x93)
    TOPIC_ALIAS = Codes(0, 0x94)
    TOO_LARGE = Codes(0, 0x95)
    REVOKED = Codes(0, 0x98)
    QOS = Codes(0, 0x9B)
    SHARED = Codes(0, 0x9E)
    SUBSCRIPTION_IDENTIFIERS = Codes(0, 0xA1)
