# SPDX-License-Identifier: Apache-2.0
"""Imports of feeds: who may sign them, which time they may have, and that half an import is never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.service.advisories.fleet import HOUR_S, KEY, OTHER_KEY, AdvisoryFleet, bundle, opened, osv, pem_of

from armillary.engines.records.advisories import feeds as feed_rows
from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, SignatureError, WireError
from armillary.service.advisories import advisories, imports, reading
from armillary.service.advisories.advisories import Advisories
from armillary.service.context.blobs import Blobs
from armillary.wire.advisory import bundle as bundles

BAD = "pkg:pypi/django@3.2.10"
NAME = "PYSEC-2026-1"


def taken(fleet: AdvisoryFleet, content: bytes) -> Any:
    return fleet.advisories.import_bundle(fleet.file(content), actor="anna")


def names(fleet: AdvisoryFleet) -> dict[str, int]:
    return {each.name: 0 if each.current is None else each.current.edition for each in fleet.advisories.feeds()}


def test_a_bundle_by_a_trusted_key_is_taken_and_audited(fleet: AdvisoryFleet) -> None:
    made = fleet.feed(osv(NAME), age_s=60)
    assert (made.feed, made.edition, made.records, made.refused) == ("osv-pypi", 1, 1, 0)
    line = fleet.service.audit.list(limit=1).items[0]
    assert (line.operation, line.target, line.actor) == ("advisory-feed.import", "osv-pypi", "anna")
    assert line.detail["sha256"] == made.sha256.hex()
    assert line.detail["key"] == fleet.key.key_id


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (lambda now: bundle([osv(NAME)], as_of=now, key=OTHER_KEY), SignatureError, "trusted"),
        (lambda now: bundle([osv(NAME)], as_of=now)[:-1], WireError, "end of the records"),
        (lambda now: bundle([osv(NAME)], as_of=now) + b"x", WireError, "more"),
        (lambda now: bundle([osv(NAME)], as_of=now, records=2), WireError, "digest"),
        (lambda now: bundle([osv(NAME), osv("A-2")], as_of=now, records=1), WireError, "1 records"),
        (lambda now: bundle([osv(NAME)], as_of=now, sha256=bytes(32)), WireError, "digest"),
        (lambda now: bundle([osv(NAME)], as_of=now + 301), InvalidArgumentError, "from now"),
        (lambda now: bundle([osv(NAME)], as_of=now, kind="words"), WireError, "one of osv"),
        (lambda now: bundle([osv(NAME)], as_of=now, feed="../x"), WireError, "name"),
        (lambda _: b"ARMFEED1" + b"\xff" * 64, WireError, "statement of"),
        (lambda _: b"", WireError, "ARMFEED1"),
        (lambda _: b"PK\x03\x04" + bytes(60), WireError, "ARMFEED1"),
    ],
)
def test_nothing_of_a_bundle_that_is_not_as_it_should_be_is_seen(
    fleet: AdvisoryFleet, content: Callable[[float], bytes], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        taken(fleet, content(fleet.clock()))
    assert fleet.advisories.answers.page()[0] == []
    assert set(names(fleet).values()) <= {0}
    fleet.feed(osv(NAME))
    assert names(fleet)["osv-pypi"] == 1


def test_one_changed_byte_of_a_bundle_is_noticed_wherever_it_is(fleet: AdvisoryFleet) -> None:
    good = bundle([osv(NAME), osv("A-2", "flask")], as_of=fleet.clock())
    size = bundles.HEAD_BYTES + bundles.statement_size(good[: bundles.HEAD_BYTES])
    places = [*range(0, size, 7), size, size + 1, (size + len(good)) // 2, len(good) - 1]
    for place in places:
        broken = bytearray(good)
        broken[place] ^= 1
        with pytest.raises(WireError):
            taken(fleet, bytes(broken))
    assert taken(fleet, good).edition == 1


def test_an_older_feed_or_the_same_again_is_refused(fleet: AdvisoryFleet) -> None:
    fleet.feed(osv(NAME))
    for age_s in (0, 1, HOUR_S):
        with pytest.raises(ConflictError, match="is held"):
            fleet.feed(osv("A-2"), age_s=age_s)
    fleet.clock.now += 1
    assert fleet.feed(osv("A-2")).edition == 2


def test_a_feed_keeps_its_kind(fleet: AdvisoryFleet) -> None:
    fleet.feed(osv(NAME))
    fleet.clock.now += 1
    with pytest.raises(ConflictError, match="of kind osv"):
        fleet.feed(["CVE-2026-1234", 0.5, 0.5], kind="epss")


def test_a_key_of_one_feed_signs_no_other(fleet: AdvisoryFleet) -> None:
    fleet.advisories.keys.trust("vex only", pem_of(OTHER_KEY), actor="anna", feed="our-vex")
    with pytest.raises(ConflictError, match="signs our-vex only"):
        fleet.feed(osv(NAME), key=OTHER_KEY)


def test_a_revoked_key_signs_nothing_any_more(fleet: AdvisoryFleet) -> None:
    fleet.feed(osv(NAME))
    fleet.advisories.keys.revoke(fleet.key.key_id, actor="anna")
    fleet.clock.now += 1
    with pytest.raises(SignatureError):
        fleet.feed(osv("A-2"))
    with pytest.raises(ConflictError, match="was revoked"):
        fleet.advisories.keys.trust("again", pem_of(KEY), actor="anna")
    with pytest.raises(ConflictError, match="was revoked"):
        fleet.advisories.keys.revoke(fleet.key.key_id, actor="anna")
    assert fleet.advisories.answers.show(NAME)["advisory_id"] == NAME


@pytest.mark.parametrize("pem", ["", "x", pem_of(ec.generate_private_key(ec.SECP384R1()))])  # type: ignore[arg-type]
def test_what_is_no_key_of_p256_is_not_trusted(fleet: AdvisoryFleet, pem: str) -> None:
    with pytest.raises(InvalidArgumentError, match="P-256"):
        fleet.advisories.keys.trust("x", pem, actor="anna")


def test_records_that_cannot_be_read_are_counted_and_the_others_taken(fleet: AdvisoryFleet) -> None:
    made = fleet.feed(osv(NAME), {"id": "no"}, [1], osv(NAME), osv("A-2"))
    assert (made.records, made.refused) == (5, 3)
    assert fleet.advisories.answers.show("A-2")["advisory_id"] == "A-2"


def test_every_edition_of_a_record_is_kept(fleet: AdvisoryFleet) -> None:
    for fixed in ("1.0", "2.0", "2.0"):
        fleet.clock.now += HOUR_S
        fleet.feed(osv(NAME, fixed=fixed))
    held = fleet.service.context.records.read(lambda c: feed_rows.versions_named(c, NAME, held=False))
    assert [(each.from_edition, each.until_edition, dict(each.fixed)) for each in held] == [
        (1, 2, {"django": ("1.0",)}),
        (2, None, {"django": ("2.0",)}),
    ]


def cut_after(monkeypatch: pytest.MonkeyPatch, fleet: AdvisoryFleet, writes: int) -> None:
    """Have the disk refuse after so many commits of the service."""
    records, real, left = fleet.service.context.records, fleet.service.context.records.write, iter(range(writes))

    def write(change: Any) -> Any:
        if next(left, None) is None:
            raise DataFolderError("cut", remedy="")
        return real(change)

    monkeypatch.setattr(records, "write", write)


def cuts() -> Iterator[int]:
    yield from range(9)


def test_an_import_that_is_cut_at_any_commit_is_seen_by_nobody_and_taken_back(
    fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old and new records differ, one is left out and one is new: what shows is the one edition or the other."""
    monkeypatch.setattr(imports, "STEP", 1)
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    device = fleet.device(fleet.image(BAD))
    fleet.feed(osv(NAME), osv("A-2"), osv("A-3", fixed="1.0"))
    fleet.clock.now += HOUR_S
    after = [osv(NAME, fixed="1.0"), osv("A-3"), osv("A-4")]
    seen = []
    for commits in cuts():
        with monkeypatch.context() as cut:
            cut_after(cut, fleet, commits)
            with pytest.raises(DataFolderError, match="cut"):
                fleet.feed(*after)
        rows, _ = fleet.advisories.answers.page("Contoso")
        seen.append({each["advisory_id"] for each in rows})
    assert seen == [{NAME, "A-2"}] * len(seen)
    assert fleet.feed(*after).whole_at is not None
    assert {each["advisory_id"] for each in fleet.advisories.answers.page("Contoso")[0]} == {"A-3", "A-4"}
    assert fleet.affected("A-4") == [device]


def test_a_service_that_was_killed_during_an_import_starts_with_the_edition_of_before(
    advisory_folder: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "STEP", 1)
    data = copy_of(advisory_folder, tmp_path / "data")
    with opened(data, clock) as service:
        fleet = AdvisoryFleet(service, tmp_path, clock)
        fleet.release_bill("pkg:pypi/flask@3.0.0")
        fleet.device(fleet.image(BAD))
        fleet.feed(osv(NAME))
        clock.now += HOUR_S
        cut_after(monkeypatch, fleet, 3)
        with pytest.raises(DataFolderError):
            fleet.feed(osv(NAME, fixed="1.0"), osv("A-2"))
    with opened(data, clock) as service:
        fleet = AdvisoryFleet(service, tmp_path / "data", clock)
        assert [each["advisory_id"] for each in fleet.advisories.answers.page("Contoso")[0]] == [NAME]
        assert fleet.feed(osv("A-2")).edition == 2
        assert [each["advisory_id"] for each in fleet.advisories.answers.page("Contoso")[0]] == ["A-2"]


def test_a_bill_that_was_cut_while_it_was_read_is_read_again(
    fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded of its components before the cut does not pass for compared."""
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    fleet.feed(osv(NAME))
    image = fleet.image(BAD)
    for commits in range(3):
        with monkeypatch.context() as cut:
            cut_after(cut, fleet, commits)
            with pytest.raises(DataFolderError):
                fleet.advisories.look()
    device = fleet.device(image)
    assert fleet.affected(NAME) == [device]


def test_scores_and_what_is_exploited_follow_their_feeds(fleet: AdvisoryFleet) -> None:
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    fleet.device(fleet.image(BAD))
    fleet.feed(osv(NAME, aliases=["CVE-2026-7777"]))
    fleet.feed(
        ["CVE-2026-7777", 0.25, 0.9], ["x", 1, 1], ["CVE-2026-1234", 2, 0], feed="epss", kind="epss", ecosystems=()
    )
    fleet.exploited("CVE-2026-7777")
    found = fleet.show(NAME)
    assert (found["epss"], found["epss_percentile"], found["epss_as_of"]) == (0.25, 0.9, int(fleet.clock()))
    assert found["exploited_since"] is not None
    fleet.clock.now += HOUR_S
    fleet.exploited("CVE-2026-1234")
    assert fleet.show(NAME)["exploited_since"] is None
    assert fleet.show(NAME)["exploitation_known"]
    fleet.clock.now += 8 * 86_400
    assert not fleet.show(NAME)["exploitation_known"]


def test_vex_changes_the_state_while_its_feed_is_in_force(fleet: AdvisoryFleet) -> None:
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    image = fleet.image(BAD)
    fleet.device(image)
    fleet.feed(osv(NAME, aliases=["CVE-2026-7777"]))

    def says(status: str, product: str, **more: Any) -> None:
        fleet.clock.now += 60
        statement = {
            "vulnerability": {"name": "CVE-2026-7777"},
            "products": [{"@id": product}],
            "status": status,
            **more,
        }
        document = {
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:x", "author": "Contoso", "version": 1,
            "timestamp": "2026-11-24T00:00:00Z", "statements": [statement],
        }  # fmt: skip
        fleet.feed(document, feed="our-vex", kind="openvex", ecosystems=())

    says("not_affected", f"urn:uuid:{image}", justification="vulnerable_code_not_in_execute_path")
    found = fleet.show(NAME)
    assert found["devices"] == {"not-affected": 1}
    says("under_investigation", BAD)
    assert fleet.states(NAME) == {"under-investigation": 1}
    says("not_affected", "pkg:pypi/other@1", justification="component_not_present")
    assert fleet.states(NAME) == {"affected": 1}
    assert fleet.affected(NAME, "Contoso") != []


def test_a_grave_advisory_in_the_field_becomes_a_finding_once(fleet: AdvisoryFleet) -> None:
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    device = fleet.device(fleet.image(BAD))
    low = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
    fleet.feed(osv(NAME, aliases=["CVE-2026-7777"]), osv("A-LOW", score=low))

    def findings() -> list[tuple[str, str]]:
        fleet.advisories.look()
        found = fleet.service.watch.list(kind="vulnerability-in-field").items
        return [(each.severity, each.status) for each in found]

    assert findings() == [("high", "open")]
    made = fleet.service.watch.list(kind="vulnerability-in-field").items[0]
    assert made.device_ids == (device,)
    assert NAME in made.title
    fleet.service.watch.close(made.finding_id, actor="anna")
    fleet.device(fleet.image(BAD))
    assert findings() == [("high", "closed")]
    fleet.exploited("CVE-2026-7777")
    assert findings() == [("critical", "open"), ("high", "closed")]


def test_a_large_bill_holds_up_no_look_and_is_read_on(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look reads a step of it; the service is killed in between, and begins it again."""
    monkeypatch.setattr(advisories, "BILLS_LOOK_S", 0.0)
    monkeypatch.setattr(reading, "STEP", 2)
    fleet.feed(osv(NAME))
    image = fleet.image(*(f"pkg:pypi/package-{each}@1" for each in range(6)), BAD)
    states = []
    for look in range(10):
        if not fleet.advisories.look():
            break
        (found,) = (one for one in fleet.advisories.answers.coverage("Contoso") if one["id"] == str(image))
        states.append((found["state"], found["components"]))
        if look == 1:
            service, context = fleet.service, fleet.service.context  # it was killed
            fleet.advisories = Advisories(context, Blobs(context.folder.blobs), service.watch, service.authority.keys)
    assert len(states) > 4, "a look read more than a step"
    assert set(states) == {("unknown", 0)}
    (found,) = (one for one in fleet.advisories.answers.coverage("Contoso") if one["id"] == str(image))
    assert (found["state"], found["components"]) == ("affected", 7)
