# SPDX-License-Identifier: Apache-2.0
"""Why the hub refuses or closes, in the codes of both protocol levels."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from armillary.wire.mqtt.reasons import ReasonCode


@dataclass(frozen=True, slots=True)
class Codes:
    """CONNACK return code of MQTT 3.1.1 (§3.2.2.3), and reason code of MQTT 5 (§2.4)."""

    level_3_1_1: int
    level_5: int


class Reason(enum.Enum):
    """One row a reason. 3.1.1 has five codes, and none for closing."""

    LEVEL = Codes(1, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)
    CLIENT_ID = Codes(2, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)
    BUSY = Codes(3, ReasonCode.QUOTA_EXCEEDED)
    UNAVAILABLE = Codes(3, ReasonCode.SERVER_UNAVAILABLE)
    NOT_KEPT = Codes(3, ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)
    USER_NAME = Codes(4, ReasonCode.BAD_USER_NAME_OR_PASSWORD)
    NOT_AUTHORIZED = Codes(5, ReasonCode.NOT_AUTHORIZED)
    METHOD = Codes(5, ReasonCode.BAD_AUTHENTICATION_METHOD)
    WILL = Codes(5, ReasonCode.TOPIC_NAME_INVALID)
    WITH_WILL = Codes(0, ReasonCode.DISCONNECT_WITH_WILL)
    MALFORMED = Codes(0, ReasonCode.MALFORMED_PACKET)
    PROTOCOL = Codes(0, ReasonCode.PROTOCOL_ERROR)
    SHUTTING_DOWN = Codes(0, ReasonCode.SERVER_SHUTTING_DOWN)
    KEEP_ALIVE = Codes(0, ReasonCode.KEEP_ALIVE_TIMEOUT)
    TAKEN_OVER = Codes(0, ReasonCode.SESSION_TAKEN_OVER)
    TOPIC_FILTER = Codes(0, ReasonCode.TOPIC_FILTER_INVALID)
    TOPIC_NAME = Codes(0, ReasonCode.TOPIC_NAME_INVALID)
    PACKET_ID = Codes(0, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    RECEIVE_MAXIMUM = Codes(0, ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
    TOPIC_ALIAS = Codes(0, ReasonCode.TOPIC_ALIAS_INVALID)
    TOO_LARGE = Codes(0, ReasonCode.PACKET_TOO_LARGE)
    REVOKED = Codes(0, ReasonCode.ADMINISTRATIVE_ACTION)
    QOS = Codes(0, ReasonCode.QOS_NOT_SUPPORTED)
    SHARED = Codes(0, ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
    SUBSCRIPTION_IDENTIFIERS = Codes(0, ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)


# Why a connection ended, where the name of the reason does not say it by itself. None: the network, or a client that
# went without a word.
WORDS: Final[Mapping[Reason | None, str]] = {
    None: "lost",
    Reason.NOT_AUTHORIZED: "credential-expired",
    Reason.REVOKED: "shut-out",
}
# The client said that it goes; it took nothing of what was sent to it.
SAID_GOODBYE: Final = "client"
TOOK_NOTHING: Final = "slow"


def why_ended(reason: Reason | None) -> str:
    """A reason in a word of the journal."""
    return WORDS.get(reason) or (reason.name.lower().replace("_", "-") if reason is not None else "")
