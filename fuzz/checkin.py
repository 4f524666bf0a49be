# SPDX-License-Identifier: Apache-2.0
"""Check-in messages: any bytes are a message that is written back the same, or a WireError."""

from __future__ import annotations

from tests.wire.checkin_samples import REPLY, REQUEST

from armillary.errors import WireError
from armillary.wire.device import checkin as ci
from armillary.wire.device.challenge import Challenge, encode_challenge, parse_challenge
from armillary.wire.device.problem import Problem, encode_problem, parse_problem


def seeds() -> list[bytes]:
    return [
        ci.encode_request(REQUEST),
        ci.encode_reply(REPLY),
        encode_challenge(Challenge(bytes(54), 1)),
        encode_problem(Problem("device.try-later", "m", "r", 5)),
    ]


def fuzz(data: bytes) -> None:
    for parse, encode in (
        (ci.parse_request, ci.encode_request),
        (ci.parse_reply, ci.encode_reply),
        (parse_challenge, encode_challenge),
        (parse_problem, encode_problem),
    ):
        try:
            message = parse(data)
        except WireError:
            continue
        assert encode(message) == data
