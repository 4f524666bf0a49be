# SPDX-License-Identifier: Apache-2.0
"""Checkpoints and proofs of a service's logs, over what is really in its records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from tests.fixtures.clocks import Clock

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.store import Records
from armillary.engines.records.transparency import tree
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, SignatureError, WireError
from armillary.service.transparency.logs import TransparencyLogs
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.transparency import bundle, checkpoint as checkpoints, merkle, note as notes
from armillary.wire.transparency.entry import AUDIT, RELEASES
from armillary.wire.transparency.merkle import Frontier, TreeHead, leaf_hash

ACTOR = "test"


def logs_of(host: ServiceHost) -> TransparencyLogs:
    return host.service.transparency.logs


def add_lines(host: ServiceHost, count: int) -> None:
    entries = [AuditEntry("a", "test.line", str(each), {"n": each}, at=each) for each in range(count)]
    host.service.context.records.write(lambda c: audit_rows.append(c, *entries))


def naive_root(host: ServiceHost, size: int) -> bytes:
    frontier = Frontier()
    leaves: Sequence[bytes] = host.service.context.records.read(lambda c: audit_rows.leaves(c, 0, size))
    frontier.add(map(leaf_hash, leaves))
    return frontier.root


def test_a_checkpoint_is_signed_once_for_each_size_and_covers_every_line(host: ServiceHost) -> None:
    logs = logs_of(host)
    first = logs.checkpoint(AUDIT)
    assert first.row.root == naive_root(host, first.row.size)
    assert logs.checkpoint(AUDIT) == first
    host.service.registry.catalogs.create("Grown", actor=ACTOR)
    second = logs.checkpoint(AUDIT)
    assert second.row.size == first.row.size + 1
    key = logs.key(AUDIT)
    for each in (first, second):
        found = checkpoints.verify(each.note.encode(), key).checkpoint
        assert found.head == TreeHead(each.row.size, each.row.root)
    proof = logs.consistency(AUDIT, first.row.size, second.row.size)
    merkle.verify_consistency(
        TreeHead(first.row.size, first.row.root), TreeHead(second.row.size, second.row.root), proof
    )
    assert logs.checkpoint(AUDIT, first.row.size) == first
    with pytest.raises(NotFoundError):
        logs.checkpoint(AUDIT, 1)
    with pytest.raises(NotFoundError):
        logs.checkpoint("nothing")


def test_a_log_that_grows_over_many_tiles_keeps_one_hash_for_each(host: ServiceHost) -> None:
    before = host.service.context.records.read(audit_rows.last_number)
    for _ in range(5):
        add_lines(host, 200)
    signed = logs_of(host).checkpoint(AUDIT)
    assert signed.row.size == before + 1000
    assert signed.row.root == naive_root(host, signed.row.size)
    kept = host.service.context.records.read(lambda c: tree.kept_hashes(c, AUDIT, 0, 100))
    assert len(kept) == signed.row.size // 256
    made = logs_of(host).prove(AUDIT, [1, 256, 257, 700, signed.row.size])
    proved = bundle.verify(bundle.parse(bundle.encode(made)), logs_of(host).key(AUDIT))
    assert [each.number for each in proved.entries] == [1, 256, 257, 700, signed.row.size]


def test_an_old_log_gets_its_tree_in_steps_that_continue(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "extend", lambda *_: None)  # a log of before there were trees
    for _ in range(6):
        add_lines(host, 500)
    monkeypatch.undo()
    add_lines(host, 300)  # meanwhile entries complete nothing
    records, monkeyed = host.service.context.records, 2
    size = records.read(audit_rows.last_number)
    assert not records.read(lambda c: tree.is_caught_up(c, AUDIT, size))
    monkeypatch.setattr(tree, "STEP_TILES", monkeyed)
    assert not records.write(lambda c: tree.catch_up(c, AUDIT, size, audit_rows.leaves))  # and here it was cut off
    assert len(records.read(lambda c: tree.kept_hashes(c, AUDIT, 0, 100))) == monkeyed
    signed = logs_of(host).checkpoint(AUDIT)
    assert signed.row.root == naive_root(host, signed.row.size)
    assert host.service.audit.verify().forked_at is None
    add_lines(host, 256)
    assert records.read(lambda c: tree.is_caught_up(c, AUDIT, size + 256))


def test_a_tree_hash_comes_with_its_entry_or_not_at_all(host: ServiceHost) -> None:
    """A change that fails takes back the entry and what the entry completed."""
    records = host.service.context.records
    size = records.read(audit_rows.last_number)
    add_lines(host, 255 - size % 256)

    def refused(connection: Any) -> None:
        audit_rows.append(connection, AuditEntry("a", "test.line", "x", {}, at=1))
        assert tree.kept_hashes(connection, AUDIT, 0, 9)
        raise ConflictError("taken back")

    with pytest.raises(ConflictError):
        records.write(refused)
    assert records.read(lambda c: tree.kept_hashes(c, AUDIT, 0, 9)) == ()
    add_lines(host, 1)
    assert len(records.read(lambda c: tree.kept_hashes(c, AUDIT, 0, 9))) == 1


def test_lines_of_a_target_are_proved_and_continue_an_earlier_checkpoint(host: ServiceHost) -> None:
    logs = logs_of(host)
    earlier = logs.checkpoint(AUDIT)
    host.service.registry.catalogs.create("Fabrikam", actor=ACTOR)
    numbers = logs.numbers_of(AUDIT, "Fabrikam")
    made = logs.prove(AUDIT, numbers, since=earlier.row.size)
    proved = bundle.verify(bundle.parse(bundle.encode(made)), logs.key(AUDIT))
    assert [(each.operation, each.actor) for each in proved.entries] == [("catalog.create", ACTOR)]
    assert proved.earlier is not None
    assert proved.earlier.head.size == earlier.row.size
    with pytest.raises(NotFoundError):
        logs.numbers_of(AUDIT, "nobody")
    for numbers, options in (((0,), {}), ((10**6,), {}), ((), {}), (range(1, 1003), {}), ((1,), {"size": 10**6})):
        with pytest.raises((InvalidArgumentError, NotFoundError)):
            logs.prove(AUDIT, numbers, **options)
    for sizes in ((0, 10**9), (2, 1), (-1, 1)):
        with pytest.raises(ConflictError):
            logs.consistency(AUDIT, *sizes)
    with pytest.raises(ConflictError):
        logs.prove(AUDIT, [1], size=earlier.row.size, since=logs.checkpoint(AUDIT).row.size)


def test_the_release_log_says_what_was_published_promoted_withdrawn_and_uploaded(
    host: ServiceHost, package: Callable[..., bytes]
) -> None:
    service, logs = host.service, logs_of(host)
    first = logs.entries(RELEASES, 1, 1000)
    assert {each.operation for each in first} == {"release.publish"}  # those of the first start
    assert len(first) == len(service.chips.names)
    release = service.releases.publish("mt3620", "26.12", actor=ACTOR, security_version=1, feed="RetailEval")
    service.attestation.drafts.promote(release.release_id, actor=ACTOR)
    service.releases.set_expiry(release.release_id, 2_000_000_000, actor=ACTOR)
    service.releases.withdraw(release.release_id, "it leaks", actor=ACTOR)
    image = service.updates.images.upload("Contoso", package(), actor=ACTOR)
    service.updates.images.delete("Contoso", image.image_id, actor=ACTOR)
    said = logs.entries(RELEASES, len(first) + 1, 100)
    assert [each.operation for each in said] == [
        "release.publish", "release.promote", "release.set-expiry", "release.withdraw", "image.upload", "image.delete",
    ]  # fmt: skip
    digests = {each.name: each.digest.hex() for each in release.components}
    assert all(each.detail["components"] == digests for each in said[:4])
    assert (said[1].detail["before"], said[1].detail["feed"]) == ("RetailEval", "Retail")
    assert {each.detail["sha256"] for each in said[4:]} == {image.sha256.hex()}
    assert {each.actor for each in said} == {""}
    made = logs.prove(RELEASES, logs.numbers_of(RELEASES, str(release.release_id)))
    assert len(bundle.verify(made, logs.key(RELEASES)).entries) == 4


def test_witnesses_are_heard_when_they_are_known_and_have_signed_that_checkpoint(host: ServiceHost) -> None:
    logs, witnesses = logs_of(host), host.service.transparency.witnesses
    secret = Ed25519PrivateKey.generate()
    key = notes.verifier_key("witness.example/w1", notes.COSIGNATURE, secret)
    signed = logs.checkpoint(AUDIT)
    body = signed.row.note.rpartition("\n\n")[0] + "\n"
    line = notes.cosign(body, key.name, secret, 7).line
    with pytest.raises(SignatureError):
        witnesses.keep(AUDIT, signed.row.size, line, actor=ACTOR)  # nobody knows it
    witnesses.add(key.text, actor=ACTOR)
    kept = witnesses.keep(AUDIT, signed.row.size, line, actor=ACTOR)
    assert checkpoints.verify(kept.note.encode(), logs.key(AUDIT), [key]).witnesses == ((key, 7),)
    later = notes.cosign(body, key.name, secret, 8).line
    assert list(witnesses.keep(AUDIT, signed.row.size, later, actor=ACTOR).cosignatures.values()) == [later]
    wrong = notes.cosign(body.replace("\n", "1\n", 1), key.name, secret, 9).line
    other = logs.checkpoint(AUDIT)
    assert other.row.size > signed.row.size
    for size, bad in ((signed.row.size, wrong), (other.row.size, line), (signed.row.size, "— nobody AAAA")):
        with pytest.raises(WireError):
            witnesses.keep(AUDIT, size, bad, actor=ACTOR)
    with pytest.raises(NotFoundError):
        witnesses.keep(AUDIT, 1, line, actor=ACTOR)
    made = logs.prove(AUDIT, [1], size=signed.row.size)
    assert bundle.verify(made, logs.key(AUDIT), witnesses=[key], least=1).witnesses == ((key, 8),)
    with pytest.raises(SignatureError):  # a witness that nobody asked for is no quorum
        bundle.verify(made, logs.key(AUDIT), witnesses=(), least=1)


def test_witnesses_have_names_of_their_own_and_keys_for_cosignatures(host: ServiceHost) -> None:
    witnesses = host.service.transparency.witnesses
    secret = Ed25519PrivateKey.generate()
    witnesses.add(notes.verifier_key("w", notes.COSIGNATURE, secret).text, actor=ACTOR)
    with pytest.raises(ConflictError):
        witnesses.add(notes.verifier_key("w", notes.COSIGNATURE, Ed25519PrivateKey.generate()).text, actor=ACTOR)
    with pytest.raises(InvalidArgumentError):
        witnesses.add(notes.verifier_key("v", notes.ED25519, secret).text, actor=ACTOR)
    for each in range(15):
        witnesses.add(notes.verifier_key(f"w{each}", notes.COSIGNATURE, secret).text, actor=ACTOR)
    with pytest.raises(ConflictError, match="16"):
        witnesses.add(notes.verifier_key("more", notes.COSIGNATURE, secret).text, actor=ACTOR)
    witnesses.remove("w", actor=ACTOR)
    assert len(witnesses.list()) == 15
    with pytest.raises(NotFoundError):
        witnesses.remove("w", actor=ACTOR)


def test_the_logs_have_the_same_key_after_a_restart(made_folder: Path, tmp_path: Path, clock: Clock) -> None:
    from tests.fixtures.services import copy_of  # noqa: PLC0415 - as the fixture does

    data = copy_of(made_folder, tmp_path / "data")
    with ServiceHost(data, clock=clock) as host:
        key, signed = logs_of(host).key(AUDIT), logs_of(host).checkpoint(AUDIT)
    with ServiceHost(data, clock=clock) as host:
        assert logs_of(host).key(AUDIT) == key
        assert logs_of(host).checkpoint(AUDIT, signed.row.size) == signed
    assert (data / "keys" / "transparency.pem").read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_the_release_log_of_an_old_folder_begins_with_what_it_held(tmp_path: Path) -> None:
    from armillary.engines.records.migrate import upgrade  # noqa: PLC0415 - loads Alembic

    database = tmp_path / "records.db"
    upgrade(database, "0031")
    import sqlite3  # noqa: PLC0415 - the database as an old version left it

    with sqlite3.connect(database) as old:
        old.execute(
            "INSERT INTO os_release (release_id, chip, version, feed, created_at, published_at, withdrawn_reason, os_abi, signer)"
            " VALUES ('0123456789abcdef0123456789abcdef', 'mt3620', '26.11', 'Retail', 5, 5, '', 1, '')"
        )
    upgrade(database)
    records = Records.open(database, fresh=False)
    try:
        rows = records.read(lambda c: c.execute(text("SELECT * FROM release_event")).all())
    finally:
        records.close()
    assert [(row.number, row.at, row.operation) for row in rows] == [(1, 5, "release.held")]
    assert rows[0].target == "01234567-89ab-cdef-0123-456789abcdef"
