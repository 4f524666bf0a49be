# SPDX-License-Identifier: Apache-2.0
"""Cases over real records: what is said stays as it was said, is in the audit log, and is heard before it is due."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from tests.fixtures.clocks import Clock

from armillary.engines.records.queries import audit as audit_rows, findings as finding_rows
from armillary.engines.records.queries.security import cases as case_rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.regulation.clocks import EXPLOITED, INCIDENT
from armillary.regulation.draft import as_document
from armillary.service.cases import cases as module
from armillary.service.cases.cases import Case, Cases, Said
from armillary.service.cases.subjects import Subject
from armillary.service.watch.detections import Observation
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.disclosure.submission import Submission

HOUR, DAY = 3600, 86_400


def cases(host: ServiceHost) -> Cases:
    return host.service.casework.cases


def begun(host: ServiceHost, **values: object) -> Case:
    given: dict[str, object] = {"title": "CVE-2026-7777 in the field", "catalog": "Contoso", "actor": "ann", **values}
    return cases(host).aware(EXPLOITED, Said(kind="aware"), **given)  # type: ignore[arg-type]


def clock_findings(host: ServiceHost, status: str = "living") -> list[str]:
    return [each.title for each in host.service.watch.list(kind="clock", status=status).items]


def test_becoming_aware_begins_the_clocks_and_is_in_the_audit_log(host: ServiceHost, clock: Clock) -> None:
    earlier = int(clock.now) - 2 * HOUR
    made = cases(host).aware(
        EXPLOITED,
        Said(kind="aware", at=earlier, text="a customer called"),
        title="Exploited",
        catalog="contoso",
        actor="ann",
    )
    assert (made.catalog, made.product, made.standing.aware_at) == ("Contoso", "", earlier)
    assert [each.due_at for each in made.standing.stages] == [earlier + 24 * HOUR, earlier + 72 * HOUR, None]
    (line,) = host.service.audit.list(target=str(made.row.case_id)).items
    assert (line.operation, line.actor) == ("case.aware", "ann")
    assert line.detail["stated_at"] == earlier
    assert cases(host).get(made.row.case_id) == made
    assert cases(host).get(made.row.case_id, "Contoso") == made


def test_entries_are_added_and_what_was_said_stays(host: ServiceHost, clock: Clock) -> None:
    made = begun(host)
    case_id, first = made.row.case_id, made.entries[0]
    clock.now += 2 * HOUR
    moved = cases(host).add(
        case_id, Said(kind="correction", at=int(clock.now) - 5 * HOUR, text="the mail came at night"), actor="bob"
    )
    assert moved.entries[0] == first
    assert moved.standing.aware_at == first.stated_at - 3 * HOUR
    kept = cases(host).add(case_id, Said(kind="correction", at=int(clock.now), text="no, just now"), actor="bob")
    assert kept.standing.stages[0].due_at == moved.standing.stages[0].due_at
    sent = cases(host).add(case_id, Said(kind="submitted", stage="24h", reference="SRP-1"), actor="ann")
    assert (sent.standing.stages[0].state, sent.standing.stages[0].reference) == ("submitted", "SRP-1")
    fixed = cases(host).add(case_id, Said(kind="fix-available"), actor="ann")
    assert fixed.standing.stages[2].due_at == int(clock.now) + 14 * DAY
    ended = cases(host).add(case_id, Said(kind="closed", text="all reported"), actor="ann")
    assert [each.number for each in ended.entries] == [1, 2, 3, 4, 5, 6]
    assert ended.entries[0] == first
    with pytest.raises(ConflictError, match="closed"):
        cases(host).add(case_id, Said(kind="note", text="more"), actor="ann")
    operations = [each.operation for each in host.service.audit.list(target=str(case_id)).items]
    assert operations == [
        "case.closed", "case.fix-available", "case.submitted", "case.correction", "case.correction", "case.aware",
    ]  # fmt: skip


def test_no_query_changes_or_deletes_an_entry() -> None:
    """Immutable by what there is: the room of queries has one way in, and it inserts."""
    source = open(case_rows.__file__).read()  # noqa: SIM115, PTH123 - a source of ours
    assert "delete(" not in source
    assert source.count("update(") == 1, "closed_at of the case"
    assert "update(_case)" in source


def test_clocks_become_findings_once_each_and_end_with_the_submission(host: ServiceHost, clock: Clock) -> None:
    made = begun(host)
    look = host.service.casework.clocks.look
    assert look() == 0
    clock.now += 16 * HOUR
    assert look() == 1
    assert clock_findings(host) == ["Case 'CVE-2026-7777 in the field': the early warning (24 h) is due soon"]
    clock.now += 60
    assert look() == 0
    clock.now += 8 * HOUR
    assert look() == 1
    assert clock_findings(host) == ["Case 'CVE-2026-7777 in the field': the early warning (24 h) is over"]
    cases(host).add(made.row.case_id, Said(kind="submitted", stage="24h"), actor="ann")
    assert clock_findings(host) == []
    clock.now += 3 * DAY
    assert look() == 1, "the 72 h are over, and were never near: nobody looked"
    cases(host).add(made.row.case_id, Said(kind="closed", text="no"), actor="ann")
    assert clock_findings(host) == []
    assert len(clock_findings(host, "closed")) == 3
    clock.now += 3 * DAY
    assert look() == 0


def test_a_finding_that_a_person_closed_is_not_made_again(host: ServiceHost, clock: Clock) -> None:
    begun(host)
    clock.now += 16 * HOUR
    host.service.casework.clocks.look()
    (found,) = host.service.watch.list(kind="clock").items
    host.service.watch.close(found.finding_id, actor="ann")
    clock.now += 61
    assert host.service.casework.clocks.look() == 0


def test_the_loop_of_the_service_looks_at_the_clocks(host: ServiceHost, clock: Clock) -> None:
    host.service._look_at_clocks()
    assert host.service._casework is None, "nothing is loaded where there is no case"
    begun(host)
    clock.now += 20 * HOUR
    host.service._look_at_clocks()
    assert len(clock_findings(host)) == 1


def test_cut_at_the_finding_nothing_is_lost_and_nothing_is_made_twice(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(host)
    clock.now += 16 * HOUR
    observe = finding_rows.observe

    def cut(connection: Connection, seen: object) -> object:
        observe(connection, seen)  # type: ignore[arg-type]
        raise RuntimeError("cut")

    monkeypatch.setattr(finding_rows, "observe", cut)
    with pytest.raises(RuntimeError):
        host.service.casework.clocks.look()
    monkeypatch.undo()
    assert clock_findings(host) == []
    clock.now += 61
    assert host.service.casework.clocks.look() == 1


def test_an_entry_and_its_audit_line_come_together_or_not_at_all(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun(host)
    lines = len(host.service.audit.list().items)

    def cut(*_: object, **__: object) -> None:
        raise RuntimeError("cut")

    for module_of, name in ((audit_rows, "append"), (case_rows, "add_entry")):
        with monkeypatch.context() as patched:
            patched.setattr(module_of, name, cut)
            with pytest.raises(RuntimeError):
                cases(host).add(made.row.case_id, Said(kind="note", text="x"), actor="ann")
            with pytest.raises(RuntimeError):
                begun(host)
    assert len(cases(host).get(made.row.case_id).entries) == 1
    assert len(cases(host).list().items) == 1
    assert len(host.service.audit.list().items) == lines


def test_what_a_case_is_about_has_to_be_there_and_of_its_catalog(host: ServiceHost) -> None:
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    other = host.service.registry.catalogs.get("Fabrikam").catalog_id
    seen = Observation(
        kind="hub-anomaly", key=("x",), severity="low", title="t", cause="c", proposed_action="p", catalog_id=other
    )
    theirs = str(host.service.watch.observe(seen).finding_id)
    host.service.disclosure.policies.set({"is_open": True}, actor="t")
    told = Submission(title="Pump", description="it obeys anybody", contact="finder@example.com")
    reported = host.service.disclosure.reports.receive(told, address="192.0.2.1").reference
    for subject, said in (
        (Subject("advisory", "CVE-1999-0001"), "no feed has"),
        (Subject("finding", theirs), "does not exist"),
        (Subject("finding", str(uuid4())), "does not exist"),
        (Subject("finding", "7"), "an id such as"),
        (Subject("rumour", "x"), "advisory, finding"),
        (Subject("vulnerability-report", "NONE-NONE-NONE"), "there is no"),
        (Subject("vulnerability-report", reported), "there is no"),
    ):
        with pytest.raises((NotFoundError, InvalidArgumentError), match=said):
            cases(host).aware(EXPLOITED, Said(kind="aware", subject=subject), catalog="Contoso", actor="ann")
    assert cases(host).list().items == ()
    about = cases(host).aware(
        INCIDENT, Said(kind="aware", subject=Subject("finding", theirs)), catalog="Fabrikam", actor="ann"
    )
    assert (about.row.title, about.entries[0].subject) == (theirs, "finding")
    whole = cases(host).aware(INCIDENT, Said(kind="aware", subject=Subject("finding", theirs)), actor="ann")
    assert whole.catalog == ""
    host.service.disclosure.reports.assign(reported, "Contoso", actor="ann")
    by_report = Said(kind="aware", subject=Subject("vulnerability-report", reported))
    given = cases(host).aware(EXPLOITED, by_report, catalog="Contoso", actor="ann")
    draft = as_document(host.service.casework.drafts.make(given.row.case_id, "24h"))
    assert f"By vulnerability reports {reported}." in draft["text"]
    assert "obeys anybody" not in str(draft), "what a report says is sealed, and read one by one"


def test_a_catalog_sees_its_own_cases_only(host: ServiceHost) -> None:
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    mine, theirs, whole = begun(host), begun(host, catalog="Fabrikam"), begun(host, catalog=None)
    assert [each.row.case_id for each in cases(host).list("Contoso").items] == [mine.row.case_id]
    assert len(cases(host).list().items) == 3
    for other in (theirs, whole):
        with pytest.raises(NotFoundError):
            cases(host).get(other.row.case_id, "Contoso")
        with pytest.raises(NotFoundError):
            cases(host).add(other.row.case_id, Said(kind="note", text="x"), catalog="Contoso", actor="eve")
    cases(host).add(mine.row.case_id, Said(kind="closed", text="x"), actor="ann")
    assert [each.row.case_id for each in cases(host).list(is_open=False).items] == [mine.row.case_id]
    assert len(cases(host).list(is_open=True, limit=1).items) == 1


def test_wrong_input_is_one_error_and_leaves_nothing(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for values, said in (
        ({"title": ""}, "what the case is about"),
        ({"title": "x" * 201}, "1 to 200"),
        ({"title": "a\x1bb"}, "printable"),
        ({"catalog": None, "product": "Kettle"}, "its catalog"),
        ({"product": "None"}, "does not exist"),
        ({"catalog": "Nobody"}, "does not exist"),
    ):
        with pytest.raises((InvalidArgumentError, NotFoundError), match=said):
            begun(host, **values)
    future = Said(kind="aware", at=int(clock.now) + 10)
    with pytest.raises(InvalidArgumentError, match="until now"):
        cases(host).aware(EXPLOITED, future, title="x", actor="ann")
    monkeypatch.setattr(module, "MAX_OPEN", 1)
    made = begun(host, product="Kettle")
    assert made.product == "Kettle"
    with pytest.raises(ConflictError, match="are open"):
        begun(host)
    assert len(cases(host).list().items) == 1
    for values2, said in (
        ({"kind": "note", "text": "x" * 4001}, "at most 4000"),
        ({"kind": "submitted", "stage": "24h", "reference": "x" * 201}, "at most 200"),
        ({"kind": "note", "text": "a\x00b"}, "printable"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            cases(host).add(made.row.case_id, Said(**values2), actor="ann")  # type: ignore[arg-type]
    assert len(cases(host).get(made.row.case_id).entries) == 1


def test_a_case_outlives_its_catalog(host: ServiceHost) -> None:
    host.service.registry.catalogs.create("Gone", actor="t")
    made = begun(host, catalog="Gone")
    host.service.registry.catalogs.delete("Gone", actor="t")
    found = cases(host).get(made.row.case_id)
    assert (found.catalog, found.row.title) == ("", made.row.title)
    rows = host.service.context.records.read(lambda c: c.execute(text("SELECT count(*) FROM reported_case_entry")))
    assert rows.scalar_one() == 1
