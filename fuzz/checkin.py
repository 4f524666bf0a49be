# SPDX-License-Identifier: Apache-2.0
"""Check-in messages: any bytes are a message that is written back the same, or a WireError."""

from __future__ import annotations

from dataclasses import replace

from tests.wire.checkin_samples import OFFER, REPLY, REQUEST

from armillary.errors import WireError
from armillary.wire.device import checkin as ci
from armillary.wire.device.challenge import Challenge, encode_challenge, parse_challenge
from armillary.wire.device.crash_record import CrashRecord, Frame
from armillary.wire.device.offer_timing import OfferTiming, Window
from armillary.wire.device.problem import Problem, encode_problem, parse_problem
from armillary.wire.device.update_status import UpdateStatus

STATUS = UpdateStatus(abilities=("delta", "directive", "os"), directive_version=7, reason="window", detail="d", until=9)
TIMING = OfferTiming(not_before=1, lease_until=9, windows=(Window(1, 2), Window(5, 8)), max_deferral_s=60, urgent=True)
# Version 5 of the protocol: a request with an update status, and both replies to it.
ASKED = replace(REQUEST, protocol_version=ci.STATUS_VERSION, update_status=STATUS)
# Version 6: an error report says where a crash was.
CRASH = CrashRecord(
    signal=11,
    exit_code=None,
    build_id=b"b" * 20,
    frames=(Frame("app", b"b" * 20, 4660, "f"),),
    registers=(("pc", 4660),),
)
CRASHED = replace(
    ASKED, protocol_version=ci.CRASH_VERSION, error_reports=(replace(REQUEST.error_reports[0], crash=CRASH),)
)
# Version 7: what crash dumps may hold.
CONSENTED = replace(CRASHED, protocol_version=ci.CONSENT_VERSION)
# Version 8: the device sends its log where somebody asks.
TELLING = replace(
    CONSENTED,
    protocol_version=ci.LOG_VERSION,
    update_status=replace(STATUS, abilities=("delta", "directive", "log", "os")),
)
OFFERED = replace(
    REPLY, protocol_version=ci.DIRECTIVE_REPLY_VERSION, offer=replace(OFFER, os_version="26.12", os_abi=2, when=TIMING)
)
DIRECTED = replace(REPLY, protocol_version=ci.DIRECTIVE_REPLY_VERSION, offer=None, directive=b"a directive")


def seeds() -> list[bytes]:
    return [
        ci.encode_request(REQUEST),
        ci.encode_request(ASKED),
        ci.encode_request(CRASHED),
        ci.encode_request(CONSENTED),
        ci.encode_request(TELLING),
        ci.encode_reply(replace(DIRECTED, protocol_version=ci.LOG_REPLY_VERSION, log_request=OFFER.offer_id)),
        ci.encode_reply(replace(DIRECTED, protocol_version=ci.CONSENT_REPLY_VERSION, dumps=ci.FULL_DUMPS)),
        ci.encode_request(replace(ASKED, tpm_quote=b"q", lineage=b"l" * 54)),
        ci.encode_reply(REPLY),
        ci.encode_reply(OFFERED),
        ci.encode_reply(DIRECTED),
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
