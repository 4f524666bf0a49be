# SPDX-License-Identifier: Apache-2.0
"""Somebody who can write the service's database, and even its keys, rewrites the audit log.

The chain of hashes is made anew throughout, so that it fits. What a checkpoint has signed, and what somebody else has
seen, is not to be had: each attack is noticed by the service while it has its checkpoints, and by a witness, or whoever
has kept a checkpoint, when everything in the service was forged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of

from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.transparency import tree
from armillary.engines.records.transparency.walk import TreeWalk
from armillary.errors import InconsistentLogError, ProofError, WireError
from armillary.service.transparency import logs as service_logs
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.transparency import bundle, checkpoint as checkpoints, merkle
from armillary.wire.transparency.entry import AUDIT, RELEASES
from armillary.wire.transparency.merkle import TreeHead

Lines = list[dict[str, Any]]
LINES = 300  # of the log: one tile and a part


def changed(lines: Lines) -> Lines:
    return [{**each, "actor": "nobody"} if each["number"] == 20 else each for each in lines]


def removed(lines: Lines) -> Lines:
    return [each for each in lines if each["number"] != 20]


def reordered(lines: Lines) -> Lines:
    lines[19], lines[20] = lines[20], lines[19]
    return lines


def cut_off(lines: Lines) -> Lines:
    return lines[:-40]


def cut_off_and_continued(lines: Lines) -> Lines:
    return [*lines[:-40], *({**each, "actor": "nobody"} for each in lines[-40:]), *lines[-5:]]


ATTACKS = [changed, removed, reordered, cut_off, cut_off_and_continued]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("log") / "data"
    with ServiceHost(data, clock=Clock()) as host:
        for number in range(LINES):
            name = f"line-{number}"
            host.service.context.records.write(
                lambda c, name=name: host.service.context.audit(c, "ann", "test.line", name)
            )
        host.service.transparency.logs.checkpoint(AUDIT)
    return data


@pytest.fixture
def host(made: Path, tmp_path: Path) -> Iterator[ServiceHost]:
    with ServiceHost(copy_of(made, tmp_path / "data"), clock=Clock()) as running:
        yield running


def forge(host: ServiceHost, attack: Callable[[Lines], Lines], *, checkpoints_too: bool) -> None:
    """Rewrites the log: lines, chain and tree, and what was signed where ``checkpoints_too``."""

    def rewrite(connection: Connection) -> None:
        query = text("SELECT at, actor, operation, target, detail, number FROM audit_line ORDER BY number")
        rows = [dict(each) for each in connection.execute(query).mappings()]
        for table in ("audit_line", "log_subtree", *(("log_checkpoint",) if checkpoints_too else ())):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - the names above
        previous = bytes(32)
        for number, row in enumerate(attack(rows), 1):
            line = {**row, "number": number}
            made = audit_rows._hash(previous, **line)
            connection.execute(
                text(
                    "INSERT INTO audit_line VALUES (:number, :at, :actor, :operation, :target, :detail, :p, :h, NULL)"
                ),
                {**line, "p": previous, "h": made},
            )
            previous = made
        while not tree.catch_up(connection, AUDIT, number, audit_rows.leaves):
            pass

    host.service.context.records.write(rewrite)


def head_of(host: ServiceHost) -> TreeHead:
    row = host.service.transparency.logs.checkpoint(AUDIT).row
    return TreeHead(row.size, row.root)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_rewritten_log_does_not_fit_its_own_checkpoint(host: ServiceHost, attack: Callable[[Lines], Lines]) -> None:
    signed = head_of(host).size
    assert host.service.audit.verify().forked_at is None  # the honest case
    forge(host, attack, checkpoints_too=False)
    found = host.service.audit.verify()
    assert found.broken_at is None  # the chain alone says nothing: that is the attack
    assert found.forked_at == signed
    with pytest.raises(InconsistentLogError):
        host.service.transparency.logs.checkpoint(AUDIT)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_witness_follows_no_log_that_was_rewritten_with_all_its_checkpoints(
    host: ServiceHost, attack: Callable[[Lines], Lines]
) -> None:
    logs, seen = host.service.transparency.logs, head_of(host)
    host.service.registry.catalogs.create("Later", actor="ann")
    honest = head_of(host)
    proof = logs.consistency(AUDIT, seen.size, honest.size)
    assert checkpoints.followed(seen, checkpoints.Checkpoint("o", honest), proof).head == honest

    forge(host, attack, checkpoints_too=True)
    forged = head_of(host)  # the service itself, all of whose records were forged, signs it
    assert host.service.audit.verify().forked_at is None
    most = min(seen.size, forged.size)
    offered = logs.consistency(AUDIT, most, forged.size)
    with pytest.raises(InconsistentLogError):
        checkpoints.followed(seen, checkpoints.Checkpoint("o", forged), offered)


def test_a_kept_checkpoint_shows_that_a_proof_is_of_a_forked_log(host: ServiceHost) -> None:
    """Two histories of one size, each with a good signature of the log's own key."""
    logs, kept = host.service.transparency.logs, host.service.transparency.logs.checkpoint(AUDIT)
    key, good = logs.key(AUDIT), logs.prove(AUDIT, [20])
    assert bundle.verify(good, key).entries[0].actor == "ann"
    forge(host, changed, checkpoints_too=True)
    forked = logs.prove(AUDIT, [20], since=kept.row.size)
    found = bundle.verify(forked, key)
    assert found.entries[0].actor == "nobody"  # to who has kept nothing: that is the attack
    assert found.earlier is not None
    _, known = checkpoints.parse(kept.note.encode())
    assert found.earlier.head.size == known.head.size
    assert found.earlier != known  # what ``armillary audit verify --since`` compares


def test_a_line_that_was_changed_behind_the_services_back_is_proved_by_nobody(host: ServiceHost) -> None:
    logs = host.service.transparency.logs
    assert logs.prove(AUDIT, [20])
    for statement in (
        "UPDATE audit_line SET actor = 'nobody' WHERE number = 20",
        "DELETE FROM audit_line WHERE number = 20",
    ):
        host.service.context.records.write(lambda c, statement=statement: c.execute(text(statement)))
        with pytest.raises((InconsistentLogError, WireError)):
            logs.prove(AUDIT, [20])


def test_a_release_log_that_was_changed_or_cut_off_does_not_fit_its_checkpoint(host: ServiceHost) -> None:
    signed = host.service.transparency.logs.checkpoint(RELEASES).row
    assert host.service.audit.verify().releases_forked_at is None
    for statement in (
        "UPDATE release_event SET detail = '{}' WHERE number = 1",
        "DELETE FROM release_event WHERE number > 1",
    ):
        host.service.context.records.write(lambda c, statement=statement: c.execute(text(statement)))
        assert host.service.audit.verify().releases_forked_at == signed.size
        with pytest.raises(InconsistentLogError):
            host.service.transparency.logs.checkpoint(RELEASES)


def test_mutation_of_the_comparison_before_a_checkpoint_is_signed(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = head_of(host)
    forge(host, cut_off_and_continued, checkpoints_too=False)
    monkeypatch.setattr(service_logs, "_check_continues", lambda *_: None)
    assert head_of(host).size > signed.size  # it signs a history that it never had


def test_mutation_of_the_walk_along_the_tree(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    forge(host, changed, checkpoints_too=False)
    monkeypatch.setattr(TreeWalk, "_compare", lambda *_, **__: None)
    found = host.service.audit.verify()
    assert (found.broken_at, found.forked_at) == (None, None)  # the chain alone finds nothing


def test_mutation_of_the_consistency_proof(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = head_of(host)
    forge(host, changed, checkpoints_too=True)
    forged = checkpoints.Checkpoint("o", head_of(host))
    with pytest.raises(ProofError):
        checkpoints.followed(seen, forged, ())
    monkeypatch.setattr(merkle, "verify_consistency", lambda _, later, __: later)
    assert checkpoints.followed(seen, forged, ()) == forged


def test_mutation_of_the_inclusion_proof(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = host.service.transparency.logs
    content = bundle.encode(logs.prove(AUDIT, [20])).replace(b'\\"ann\\"', b'\\"bob\\"')
    assert json.loads(content)
    with pytest.raises(ProofError):
        bundle.verify(bundle.parse(content), logs.key(AUDIT))
    monkeypatch.setattr(merkle, "verify_inclusion", lambda leaf, *_: leaf)
    assert bundle.verify(bundle.parse(content), logs.key(AUDIT)).entries[0].actor == "bob"
