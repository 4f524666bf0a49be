# SPDX-License-Identifier: Apache-2.0
"""Check-in messages: any bytes are a message that is written back the same, or a WireError."""

from __future__ import annotations

from uuid import UUID

from armillary.errors import WireError
from armillary.wire.device import checkin as ci
from armillary.wire.device.error_report import ErrorReport

IMAGE = ci.InstalledImage(component_id=UUID(int=1), image_id=UUID(int=2), image_type=10, name="coffee", state="running")
OUTCOME = ci.UpdateOutcome(
    offer_id=UUID(int=3), image_id=UUID(int=2), component_id=UUID(int=1), outcome="failed", reason="no space", at=1
)
REPORT = ErrorReport(
    sequence=1,
    boot_count=2,
    event_category="Unplanned",
    event_class="App",
    event_type="AppCrash",
    description="AppCrash (exit_status=11)",
    component_id=UUID(int=1),
    image_id=None,
    count=3,
    start=10,
    end=20,
)


def seeds() -> list[bytes]:
    request = ci.CheckinRequest(
        evidence=b"evidence",
        endorsement=b"endorsement",
        event_log=b"log",
        installed=(IMAGE, IMAGE),
        outcomes=(OUTCOME,),
        error_reports=(REPORT,),
    )
    image = ci.OfferedImage(
        component_id=UUID(int=1), image_id=UUID(int=2), image_type=10, name="coffee", size=9, sha256=bytes(32)
    )
    reply = ci.CheckinReply(
        verdict="update-only",
        steps=(ci.AppraisalStep(1, "a", "", "pass", ""), ci.AppraisalStep(2, "b", "c", "fail", "d")),
        certificate_chain=(b"leaf", b"issuing"),
        purpose="update",
        catalog_id=UUID(int=9),
        offer=ci.Offer(offer_id=UUID(int=5), deployment_id=None, images=(image,)),
        next_check_in_s=60,
        challenge=bytes(54),
        server_time=1,
        hub_host="localhost",
        hub_port=8883,
    )
    return [
        ci.encode_request(request),
        ci.encode_reply(reply),
        ci.encode_challenge(ci.Challenge(bytes(54), 1)),
        ci.encode_problem(ci.Problem("device.try-later", "m", "r", 5)),
    ]


def fuzz(data: bytes) -> None:
    for parse, encode in (
        (ci.parse_request, ci.encode_request),
        (ci.parse_reply, ci.encode_reply),
        (ci.parse_challenge, ci.encode_challenge),
        (ci.parse_problem, ci.encode_problem),
    ):
        try:
            message = parse(data)
        except WireError:
            continue
        assert encode(message) == data
