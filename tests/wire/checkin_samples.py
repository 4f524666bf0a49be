# SPDX-License-Identifier: Apache-2.0
"""A check-in request and a reply with every part that they may have."""

from __future__ import annotations

from uuid import UUID

from tests.fixtures.reports import crash, reverted

from armillary.wire.device import checkin as ci

IMAGE = ci.InstalledImage(component_id=UUID(int=1), image_id=UUID(int=2), image_type=10, name="coffee", state="running")
OUTCOME = reverted(IMAGE, offer_id=UUID(int=3), reason="exit 1")
REPORT = crash(boot_count=2, component_id=UUID(int=1), image_id=None, count=3, start=1_790_000_000, end=1_790_000_060)
REQUEST = ci.CheckinRequest(
    evidence=b"evidence",
    endorsement=b"endorsement",
    event_log=b"log",
    installed=(IMAGE,),
    outcomes=(OUTCOME,),
    error_reports=(REPORT,),
)
STEPS = (
    ci.AppraisalStep(1, "connection key", "", "pass", ""),
    ci.AppraisalStep(2, "challenge", "Replay.", "fail", "Too old."),
    ci.AppraisalStep(3, "endorsement", "Forgery.", "not-run", ""),
    ci.AppraisalStep(4, "evidence", "Forgery.", "pass", "with a note"),
)
OFFER = ci.Offer(
    offer_id=UUID(int=5),
    deployment_id=UUID(int=6),
    images=(
        ci.OfferedImage(
            component_id=UUID(int=1), image_id=UUID(int=2), image_type=10, name="coffee", size=4096, sha256=b"s" * 32
        ),
    ),
)
REPLY = ci.CheckinReply(
    verdict="attested",
    steps=STEPS,
    certificate_chain=(b"leaf", b"issuing"),
    purpose="client",
    catalog_id=UUID(int=9),
    offer=OFFER,
    next_check_in_s=3600,
    challenge=b"c" * 54,
    server_time=1_790_000_000,
    hub_host="localhost",
    hub_port=8883,
)
