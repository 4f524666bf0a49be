# SPDX-License-Identifier: Apache-2.0
"""Cases from the command line to the records and back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary.api.native.security import cases as routes
from armillary.cli.security.case import remaining
from armillary.regulation.case import SUBJECTS
from armillary.regulation.clocks import KINDS, STAGES
from armillary.service.watch.detections import Observation


def test_a_case_from_aware_to_closed(armillary: Command, service: RunningService, catalog: str, tmp_path: Path) -> None:
    hour_ago = datetime.fromtimestamp(int(time.time()) - 3600, UTC).isoformat()
    begun = armillary("case", "aware", "--title", "It burns", "-c", catalog, "--at", hour_ago, "--json").json
    case_id = begun["case_id"]
    assert (begun["state"], begun["next_stage"], begun["catalog"]) == ("open", "24h", catalog)
    assert 22 * 3600 < begun["remaining_s"] <= 23 * 3600
    moved = armillary("case", "correct", case_id, "--at", "2026-11-20", "--text", "we knew", "--json").json
    assert moved["aware_at"] == 1_795_132_800
    assert moved["stages"][0]["state"] == "overdue"
    shown = armillary("case", "show", case_id, "-c", catalog)
    assert shown.code == 0, shown.err
    assert "over by" in shown.out
    assert "we knew" in shown.out
    sent = armillary("case", "submitted", case_id, "--stage", "24h", "--reference", "SRP-7", "--json").json
    assert (sent["stages"][0]["state"], sent["stages"][0]["reference"]) == ("submitted-late", "SRP-7")
    fixed = armillary("case", "fix-available", case_id, "--json").json
    assert fixed["stages"][2]["due_at"] == fixed["fix_available_at"] + 14 * 86_400
    owner = service.service.registry.catalogs.get(catalog).catalog_id
    seen = Observation(
        kind="hub-anomaly", key=("x",), severity="low", title="t", cause="c", proposed_action="p", catalog_id=owner
    )
    finding = service.service.watch.observe(seen)
    about = armillary("case", "refer", case_id, "--finding", str(finding.finding_id), "--json").json["about"]
    assert about == [{"subject": "finding", "id": str(finding.finding_id)}]
    assert armillary("case", "note", case_id, "--text", "a note").code == 0
    draft = armillary("case", "draft", case_id, "--stage", "72h", "--json").json
    assert "sensitivity" in {each["field"] for each in draft["gaps"]}
    assert armillary("case", "note", case_id, "--field", "sensitivity", "--text", "TLP:AMBER").code == 0
    file = tmp_path / "notice.txt"
    printed = armillary("case", "draft", case_id, "--stage", "72h", "--output-file", str(file))
    assert "TLP:AMBER" in printed.out
    assert file.read_text() == printed.out
    assert "colour" in armillary("case", "note", case_id, "--field", "colour", "--text", "x").err
    listed = armillary("case", "list", "-c", catalog, "--json").json
    assert [each["case_id"] for each in listed] == [case_id]
    short = armillary("case", "list", "-c", catalog).out.splitlines()[1].split()[0]
    assert (short, armillary("case", "show", short, "-c", catalog, "--json").json["case_id"]) == (case_id[:8], case_id)
    assert "72h" in armillary("case", "list", "-c", catalog).out
    assert armillary("case", "close", case_id, "--text", "dealt with", "--json").json["state"] == "closed"
    assert armillary("case", "list", "-c", catalog, "--json").json == []
    assert len(armillary("case", "list", "-c", catalog, "--state", "closed", "--json").json) == 1
    refused = armillary("case", "note", case_id, "--text", "more")
    assert (refused.code, "closed" in refused.err) == (1, True)


def test_what_is_wrong_is_said(armillary: Command, catalog: str) -> None:
    for arguments, said in (
        (("aware", "-c", catalog), "what the case is about"),
        (("aware", "-c", catalog, "--advisory", "CVE-1999-0001"), "no feed has"),
        (("aware", "-c", catalog, "--advisory", "A", "--finding", "B"), "got more"),
        (("aware", "-c", catalog, "--title", "x", "--at", "2999-01-01"), "until now"),
        (("aware", "-c", catalog, "--title", "x", "--at", "soon"), "ISO 8601"),
        (("show", "6f9619ff-8b86-4011-b42d-00cf4fc964ff"), "does not exist"),
        (("refer", "6f9619ff-8b86-4011-b42d-00cf4fc964ff"), "got none"),
    ):
        answer = armillary("case", *arguments)
        assert (answer.code, said in answer.err) == (1, True), (arguments, answer.err)


def test_the_api_knows_the_words_of_the_rules() -> None:
    assert routes.CASE_KINDS == KINDS
    assert routes.CASE_STAGES == STAGES
    assert routes.CASE_SUBJECTS == SUBJECTS


def test_what_remains_is_said_for_people() -> None:
    assert remaining(None) is None
    assert remaining(90_061) == "1 day, 1:01:01"
    assert remaining(-600) == "over by 0:10:00"
