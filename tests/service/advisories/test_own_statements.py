# SPDX-License-Identifier: Apache-2.0
"""Statements of operators change states of their own catalog, are signed and audited, and can be taken back."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update
from tests.service.advisories.fleet import HOUR_S, OTHER_KEY, AdvisoryFleet, osv

from armillary.engines.records.schema import schema
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.advisories.own_statements import Said, Subject
from armillary.wire.advisory import own_statement
from armillary.wire.advisory.own_statement import OwnStatement
from armillary.wire.advisory.vex import Status

BAD = "pkg:pypi/django@3.2.10"
NAME, CVE = "PYSEC-2026-1", "CVE-2026-1"
WHY = "vulnerable_code_not_in_execute_path"


@pytest.fixture
def judged(fleet: AdvisoryFleet) -> AdvisoryFleet:
    """Releases are assessed, and a feed names a fault of django."""
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    fleet.feed(osv(NAME, aliases=[CVE]))
    return fleet


def state(fleet: AdvisoryFleet, status: str = "not_affected", *, catalog: str | None = "Contoso", **given: Any) -> UUID:
    """Make a statement a minute later; its id."""
    fleet.clock.now += 60
    subject = Subject(**{name: given.pop(name) for name in ("image", "product", "release") if name in given})
    said = {"author": "Anna", "justification": WHY if status == "not_affected" else "", **given}
    name = said.pop("advisory", CVE)
    made = fleet.advisories.statements.make(name, subject, Said(status=status, **said), catalog=catalog, actor="anna")
    return made.row.statement_id


def test_a_statement_about_an_image_holds_in_its_catalog_alone_until_it_is_taken_back(judged: AdvisoryFleet) -> None:
    image = judged.image(BAD)
    judged.device(image)
    package = judged.service.updates.images.read(image, "Contoso")
    _, bill = judged.service.updates.bills.of_image("Contoso", image)
    judged.service.updates.images.upload("Fabrikam", package, actor="bob")
    judged.service.updates.bills.put_of_image("Fabrikam", image, bill, actor="bob")
    judged.device(image, catalog="Fabrikam")
    assert (judged.states(NAME), judged.states(NAME, "Fabrikam")) == ({"affected": 1}, {"affected": 1})
    made = state(judged, image=image)
    assert (judged.states(NAME), judged.states(NAME, "Fabrikam")) == ({"not-affected": 1}, {"affected": 1})
    assert judged.affected(NAME) == []
    judged.advisories.statements.take_back(made, catalog="Contoso", reason="the path is used", actor="bob")
    assert judged.states(NAME) == {"affected": 1}
    with pytest.raises(ConflictError):
        judged.advisories.statements.take_back(made, catalog="Contoso", reason="again", actor="bob")
    with pytest.raises(NotFoundError):
        judged.advisories.statements.take_back(made, catalog="Fabrikam", reason="theirs", actor="bob")
    lines = judged.service.audit.list(target=CVE).items
    assert [(each.operation, each.actor) for each in lines] == [
        ("advisory.state.take-back", "bob"),
        ("advisory.state", "anna"),
    ]
    assert lines[1].detail["author"] == "Anna"


def test_a_part_of_an_image_and_the_last_statement_count(judged: AdvisoryFleet) -> None:
    image = judged.image(BAD)
    judged.device(image)
    state(judged, image=image, component="pkg:pypi/other@1")
    assert judged.states(NAME) == {"affected": 1}
    state(judged, image=image, component="pkg:pypi/django")
    assert judged.states(NAME) == {"not-affected": 1}
    state(judged, "under_investigation", image=image)
    assert judged.states(NAME) == {"under-investigation": 1}
    state(judged, "fixed", image=image, component=BAD)
    assert judged.states(NAME) == {"fixed": 1}
    state(judged, "affected", image=image)
    assert judged.states(NAME) == {"affected": 1}


def test_what_no_bill_can_say_an_operator_can(judged: AdvisoryFleet) -> None:
    """Without a bill an image is unknown; one that is known to have it without listing it can be said to be affected."""
    image, other = judged.image(), judged.image("pkg:pypi/requests@2.0")
    judged.device(image)
    judged.device(other)
    assert judged.states(NAME) == {"unknown": 1, "not-affected": 1}
    state(judged, image=image)
    assert judged.states(NAME) == {"not-affected": 2}
    state(judged, "affected", image=other, reason="a copy of it is compiled in")
    assert judged.states(NAME) == {"not-affected": 1, "affected": 1}
    assert len(judged.affected(NAME)) == 1
    (row,), _ = judged.advisories.answers.page("Contoso")
    assert (row["advisory_id"], row["devices"]) == (NAME, 1)
    judged.clock.now += 8 * 24 * HOUR_S
    assert judged.states(NAME) == {"unknown": 1, "affected": 1}, "by a stale feed nothing is good"


def test_a_statement_about_a_product_holds_for_its_devices(judged: AdvisoryFleet) -> None:
    judged.service.registry.products.create("Contoso", "Grinder", actor="anna")
    judged.service.registry.groups.create_defaults("Contoso", "Grinder", actor="anna")
    image, fine = judged.image(BAD), judged.image("pkg:pypi/requests@2.0")
    kettle, grinder = judged.device(image), judged.device(fine)
    judged.service.registry.devices.move("Contoso", grinder, product="Grinder", group="Production", actor="anna")
    judged.advisories.look()
    state(judged, "affected", product="Grinder")
    assert judged.affected(NAME) == sorted([kettle, grinder])
    state(judged, product="Kettle")
    assert judged.affected(NAME) == [grinder]
    assert judged.states(NAME) == {"affected": 1, "not-affected": 1}
    state(judged, "affected", image=image)
    assert judged.affected(NAME) == sorted([kettle, grinder]), "what was said of the image is later"
    judged.runs(kettle, fine)
    assert judged.affected(NAME) == [grinder]


def test_a_release_is_named_by_the_whole_service(judged: AdvisoryFleet) -> None:
    release = judged.release_bill(BAD)
    judged.device(judged.image("pkg:pypi/requests@2.0"))
    judged.advisories.look()
    assert judged.states(NAME) == {"affected": 1}
    with pytest.raises(InvalidArgumentError, match="whole service"):
        state(judged, release=release)
    state(judged, release=release, catalog=None)
    assert judged.states(NAME) == {"not-affected": 1}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"status": "fixed", "justification": WHY}, "justification"),
        ({"status": "not_affected", "justification": ""}, "justification"),
        ({"status": "not_affected", "justification": "because"}, "justification"),
        ({"status": "clean"}, "status"),
        ({"status": "affected", "author": ""}, "author"),
        ({"status": "affected", "author": "a\nb"}, "author"),
        ({"status": "affected", "component": "django"}, "component"),
        ({"status": "affected", "component": "pkg:generic/ours@1"}, "component"),
        ({"status": "affected", "reason": "x" * 2001}, "reason"),
        ({"status": "affected", "product": "Kettle"}, "one of image"),
    ],
)
def test_what_cannot_be_said_is_refused_whole(judged: AdvisoryFleet, given: dict[str, Any], error: str) -> None:
    image = judged.image(BAD)
    with pytest.raises(InvalidArgumentError, match=error):
        state(judged, **{"image": image, **given})
    assert judged.advisories.statements.page("Contoso").items == ()


def test_nothing_is_said_of_what_is_not_there(judged: AdvisoryFleet) -> None:
    image = judged.image(BAD)
    for given in ({"image": uuid4()}, {"product": "Toaster"}, {"image": image, "catalog": "Fabrikam"},
                  {"image": image, "advisory": "CVE-1999-1"}, {"release": uuid4(), "catalog": None}):  # fmt: skip
        with pytest.raises(NotFoundError):
            state(judged, "affected", **given)


def test_a_statement_that_was_changed_in_the_database_says_nothing(judged: AdvisoryFleet) -> None:
    """Each change of its row; the control is the row as it was."""
    image, other = judged.image(BAD), judged.image(BAD)
    judged.device(image)
    made = state(judged, image=image)
    elsewhere = state(judged, image=other, advisory=NAME)
    own, records = schema.own_statement, judged.service.context.records
    before = records.read(lambda c: c.execute(own.select().where(own.c.statement_id == made)).one())
    theirs = records.read(lambda c: c.execute(own.select().where(own.c.statement_id == elsewhere)).one())

    def spoil(values: dict[str, Any]) -> None:
        records.write(lambda c: c.execute(update(own).where(own.c.statement_id == made).values(values)))

    flipped = bytearray(before.signed)
    flipped[-1] ^= 1
    for values in ({"signed": bytes(flipped)}, {"signed": b"x"}, {"signed": theirs.signed}, {"stated_at": 1}):
        spoil(values)
        assert judged.states(NAME) == {"affected": 1}, values
        shown = {each.row.statement_id: each.said for each in judged.advisories.statements.page("Contoso").items}
        assert shown[made] is None
        spoil({"signed": before.signed, "stated_at": before.stated_at})
    assert judged.states(NAME) == {"not-affected": 1}
    records.write(lambda c: c.execute(text("UPDATE own_statement SET catalog_id = NULL")))
    assert judged.states(NAME) == {"affected": 1}


def forged(fleet: AdvisoryFleet) -> None:
    """Somebody who can write the database has a row that silences the advisory, signed by a key of their own."""
    image = fleet.image(BAD)
    fleet.device(image)
    catalog_id = fleet.service.registry.catalogs.get("Contoso").catalog_id
    made = OwnStatement(
        statement_id=uuid4(), vulnerability=NAME, subject="image", subject_id=image, catalog_id=catalog_id, component="",
        status=Status.NOT_AFFECTED, justification=WHY, reason="", author="Anna", stated_at=int(fleet.clock.now),
    )  # fmt: skip
    values = {
        "statement_id": made.statement_id, "catalog_id": catalog_id, "vulnerability": NAME, "stated_at": made.stated_at,
        "signed": own_statement.seal(made, OTHER_KEY), "made_by": "anna",
    }  # fmt: skip
    fleet.service.context.records.write(lambda c: c.execute(schema.own_statement.insert().values(values)))


def test_a_statement_that_somebody_else_signed_silences_nothing(judged: AdvisoryFleet) -> None:
    forged(judged)
    assert judged.states(NAME) == {"affected": 1}


def test_mutation_without_the_signature_of_a_statement(judged: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = own_statement.verify
    monkeypatch.setattr(own_statement, "verify", lambda signed, _: verify(signed, OTHER_KEY.public_key()))
    forged(judged)
    assert judged.states(NAME) == {"not-affected": 1}


def test_vex_documents_name_images_by_hash_and_releases_by_package_url(judged: AdvisoryFleet) -> None:
    """And those of a feed that is stale make nothing good any more."""
    image = judged.image(BAD)
    release = judged.release_bill(BAD)
    found = next(each for each in judged.service.releases.list(chip="mt3620") if each.release_id == release)
    judged.device(image)
    assert judged.states(NAME) == {"affected": 1}
    digest = judged.service.updates.images.get("Contoso", image).sha256.hex()

    def says(*products: dict[str, Any], age_s: int = 0) -> None:
        statement = {"vulnerability": {"name": CVE}, "products": products, "status": "fixed"}
        document = {
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:x", "author": "Contoso", "version": 1,
            "timestamp": "2026-11-24T00:00:00Z", "statements": [statement],
        }  # fmt: skip
        judged.feed(document, feed="our-vex", kind="openvex", ecosystems=(), age_s=age_s)

    purl = {"@id": f"pkg:generic/armillary-os@{found.version}?chip={found.chip}"}
    by_hash = {"@id": "urn:kettle", "hashes": {"sha-256": digest}}
    says(by_hash, age_s=300)
    assert judged.states(NAME) == {"affected": 1}, "the release is"
    says({**by_hash, "hashes": {"sha-256": "0" * 64}}, purl, age_s=200)
    assert judged.states(NAME) == {"affected": 1}, "the image is"
    says(by_hash, purl, age_s=100)
    assert judged.states(NAME) == {"fixed": 1}
    judged.advisories.set_max_age("our-vex", 60, actor="anna")
    assert judged.states(NAME) == {"unknown": 1}, "its feed is stale"
