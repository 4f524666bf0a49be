# SPDX-License-Identifier: Apache-2.0
"""Keys go offline, change, are lost: what needs whose signature, and what devices see of it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.fixtures.clocks import Clock
from tests.service.repository.ceremonies import exported, new_key, pem, signatures
from tests.service.repository.conftest import OpenService
from tests.service.repository.test_repository import cut_after, upload
from tests.service.repository.tuf_client import Client
from tuf.api.exceptions import BadVersionNumberError, RepositoryError

from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, MetadataRefusedError, NotFoundError
from armillary.service.repository.ceremony import Ceremony, KeyChange
from armillary.service.repository.offline import read_documents, sign_documents, write_documents
from armillary.service.repository.repository import Repository
from armillary.service.repository.roles import DAY_S, os_path
from armillary.service.repository.tuf_format import KeySigner
from armillary.service.tracing.repository_key_trace import RepositoryKeyTraces

P_384 = (
    ec.generate_private_key(ec.SECP384R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.fixture
def repository(host: OpenService) -> Repository:
    return host.service.repository


@pytest.fixture
def ceremony(host: OpenService) -> Ceremony:
    return host.service.ceremony


@pytest.fixture
def client(repository: Repository, clock: Clock, tmp_path: Path) -> Client:
    return Client(repository.files.folder, tmp_path / "device", repository.root(), int(clock()))


def component(host: OpenService) -> str:
    release = host.service.releases.newest("mt3620")
    return os_path("mt3620", release.version, release.components[0].name)


def custody(ceremony: Ceremony, role: str) -> tuple[str, int, int]:
    found = next(one for one in ceremony.roles() if one.role == role)
    return found.custody, found.threshold, len(found.keys)


def take_offline(ceremony: Ceremony) -> tuple[list[KeySigner], list[KeySigner]]:
    """Root 2 of 3 and targets 2 of 2 offline; gives their keys."""
    root, targets = [new_key() for _ in range(3)], [new_key() for _ in range(2)]
    changes = [
        KeyChange(role="root", public_keys=tuple(map(pem, root)), threshold=2),
        KeyChange(role="targets", public_keys=tuple(map(pem, targets)), threshold=2),
    ]
    assert not ceremony.propose(changes, actor="t")
    assert not ceremony.submit(signatures(ceremony, [root[0], targets[0]]), actor="t")
    assert ceremony.submit(signatures(ceremony, [root[2], targets[1]]), actor="t")
    return root, targets


def test_root_and_targets_go_offline_in_one_ceremony_and_devices_follow(
    host: OpenService, repository: Repository, ceremony: Ceremony, client: Client, package: Callable[..., bytes]
) -> None:
    client.refreshed()
    before = custody(ceremony, "root"), custody(ceremony, "targets")
    assert before == (("online", 1, 1), ("online", 1, 1))
    take_offline(ceremony)
    assert (custody(ceremony, "root"), custody(ceremony, "targets")) == (("offline", 2, 3), ("offline", 2, 2))
    assert not host.service.authority.keys.names("tuf-root-")  # the online keys are gone
    assert not host.service.authority.keys.names("tuf-targets-")
    assert client.fetch(component(host)) is not None
    assert client.fetch(upload(host, package())) is not None  # images need no ceremony
    assert client.refreshed()._trusted_set.root.version == 2


def test_nothing_is_published_while_a_signature_is_missing(host, repository, ceremony, client) -> None:
    key = new_key()
    before = {path.name for path in (repository.files.folder / "metadata").iterdir()}
    ceremony.propose([KeyChange(role="targets", public_keys=(pem(key),))], actor="t")
    assert {path.name for path in (repository.files.folder / "metadata").iterdir()} == before
    (root, targets) = ceremony.waiting()
    assert (root.role, root.missing, targets.role, targets.missing) == ("root", 0, "targets", 1)
    assert client.fetch(component(host)) is not None
    assert ceremony.submit(signatures(ceremony, [key]), actor="t")
    assert not ceremony.waiting()
    assert client.fetch(component(host)) is not None


def test_new_root_keys_come_into_force_by_the_old_ones_alone(repository, ceremony, client) -> None:
    """Else whoever took over the service would make a root of his own keys, which no device can follow."""
    old, new = new_key(), new_key()
    assert not ceremony.propose([KeyChange(role="root", public_keys=(pem(old),))], actor="t")
    assert ceremony.submit(signatures(ceremony, [old]), actor="t")
    assert not ceremony.propose([KeyChange(role="root", public_keys=(pem(new),))], actor="t")
    assert not ceremony.submit(signatures(ceremony, [new]), actor="t")
    assert (repository.files.newest_root(), ceremony.waiting()[0].missing) == (2, 1)
    assert client.refreshed()._trusted_set.root.version == 2
    assert ceremony.submit(signatures(ceremony, [old]), actor="t")
    assert client.refreshed()._trusted_set.root.version == 3


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "os", "catalogs", "director", "targets", "root"])
def test_an_online_key_that_was_lost_or_stolen_is_replaced_at_once(
    host: OpenService, repository: Repository, ceremony: Ceremony, client: Client, role: str
) -> None:
    client.refreshed()
    old = next(one for one in ceremony.roles() if one.role == role).keys[0].key_id
    if role not in ("root", "targets"):  # lost: not there to sign once more; the other two need their old key
        repository.keys().remove(role, [old])
    assert ceremony.propose([KeyChange(role=role, online=1)], actor="t")
    new = next(one for one in ceremony.roles() if one.role == role).keys
    assert [key.online for key in new] == [True]
    assert new[0].key_id != old
    assert client.fetch(component(host)) is not None


def test_after_keys_of_snapshot_and_timestamp_changed_a_client_takes_lower_versions_again(
    repository: Repository, ceremony: Ceremony, client: Client
) -> None:
    """Recovery from a fast-forward attack (TUF 1.0.33 §5.3.11): whoever had the keys has set versions far ahead."""

    def far_ahead(step: Any) -> None:
        step.edition.timestamp.signed.version = step.edition.snapshot.signed.version = 10_000
        step.next("os")

    repository.publish(far_ahead)
    assert client.refreshed()._trusted_set.timestamp.version > 10_000
    changes = [KeyChange(role=role, online=1) for role in ("snapshot", "timestamp")]

    def back(step: Any) -> None:
        step.edition.timestamp.signed.version = step.edition.snapshot.signed.version = 1

    real = repository.publish
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository, "publish", lambda change=None: real(lambda s: (back(s), change and change(s))))
        ceremony.propose(changes, actor="t")
    assert client.refreshed()._trusted_set.timestamp.version < 100


def test_after_an_old_backup_was_restored_new_online_keys_have_devices_follow_again(
    repository: Repository, ceremony: Ceremony, client: Client, host: OpenService, package: Callable[..., bytes]
) -> None:
    backup = repository.files.folder.with_name("backup")
    shutil.copytree(repository.files.folder, backup)
    for _ in range(2):
        upload(host, package())
    client.refreshed()
    shutil.rmtree(repository.files.folder)
    backup.rename(repository.files.folder)
    with pytest.raises(BadVersionNumberError):
        client.refreshed()
    for role in ("timestamp", "snapshot"):
        ceremony.propose([KeyChange(role=role, online=1)], actor="t")
    assert client.fetch(component(host)) is not None


def test_with_offline_keys_a_lost_one_is_replaced_by_those_that_are_left(ceremony, client, host) -> None:
    root, _ = take_offline(ceremony)
    replacement = new_key()
    kept = [root[0], root[1], replacement]  # root[2] was lost
    ceremony.propose([KeyChange(role="root", public_keys=tuple(map(pem, kept)), threshold=2)], actor="t")
    assert ceremony.submit(signatures(ceremony, kept), actor="t")
    assert client.fetch(component(host)) is not None
    lost_targets = [new_key()]
    ceremony.propose([KeyChange(role="targets", public_keys=(pem(lost_targets[0]),))], actor="t")
    assert not ceremony.submit(signatures(ceremony, lost_targets), actor="t")  # root has to say so
    assert ceremony.submit(signatures(ceremony, kept[1:]), actor="t")
    assert custody(ceremony, "targets") == ("offline", 1, 1)
    assert client.fetch(component(host)) is not None


def test_a_role_of_offline_keys_waits_with_new_contents_and_the_old_ones_stay(
    host: OpenService, repository: Repository, ceremony: Ceremony, client: Client
) -> None:
    key = new_key()
    ceremony.propose([KeyChange(role="os", public_keys=(pem(key),))], actor="t")
    assert ceremony.submit(signatures(ceremony, [key]), actor="t")
    host.service.releases.publish("mt3620", "26.12", actor="t")
    repository.follow()
    path = os_path("mt3620", "26.12", host.service.releases.newest("mt3620").components[0].name)
    assert client.fetch(path) is None
    assert [(one.role, one.missing) for one in ceremony.waiting()] == [("os", 1)]
    repository.follow()
    assert ceremony.submit(signatures(ceremony, [key]), actor="t")
    assert client.fetch(path) is not None


def signed(ceremony: Ceremony, signer: KeySigner, role: str = "root") -> dict[str, bytes]:
    return {role: signatures(ceremony, [signer])[role]}


def changed(document: bytes, change: Callable[[Any], None]) -> bytes:
    value = json.loads(document)
    change(value)
    return json.dumps(value).encode()


def test_bad_metadata_is_refused_with_the_reason_and_nothing_of_it_is_kept(ceremony, clock, client) -> None:
    root, targets = take_offline(ceremony)
    stranger = new_key()
    ceremony.propose([KeyChange(role="root", public_keys=tuple(map(pem, root)), threshold=3)], actor="t")
    before = [one.document for one in ceremony.waiting()]
    waiting = {one.role: one.document for one in ceremony.waiting()}
    good = signed(ceremony, root[0])
    as_any = [
        dataclasses.replace(one, may_sign=(one.may_sign + _ids([*targets, stranger]))) for one in exported(ceremony)
    ]
    by_targets = {one.role: one.content for one in sign_documents(as_any, targets[:1])[0]}
    by_stranger = {one.role: one.content for one in sign_documents(as_any, [stranger])[0]}

    def version(value: Any) -> None:
        value["signed"]["version"] += 1

    def one_key(value: Any) -> None:
        value["signed"]["roles"]["root"]["threshold"] = 1

    def garbled(value: Any) -> None:
        value["signatures"][-1]["sig"] = "00" * 70

    for refused, reason in (
        ({}, "no metadata"),
        ({"root": waiting["root"]}, "no signature that was not known"),
        ({"root": changed(good["root"], version)}, "with other contents"),
        ({"root": changed(good["root"], one_key)}, "with other contents"),
        ({"root": changed(good["root"], garbled)}, "does not verify"),
        (by_targets, "a key of the role targets"),
        (by_stranger, "unknown"),
        ({"targets": good["root"]}, "no metadata of this role waits"),
        ({"root": b"{}"}, "not TUF metadata"),
        ({"root": good["root"], "os": b"{}"}, "no metadata of this role waits"),  # one bad document of two
    ):
        with pytest.raises(MetadataRefusedError, match=reason):
            ceremony.submit(refused, actor="t")
        assert [one.document for one in ceremony.waiting()] == before
    assert not ceremony.submit(good, actor="t")  # positive control: half signed, and kept
    assert ceremony.waiting()[0].missing == 2
    client.refreshed()
    clock.now += 4 * 365 * DAY_S
    with pytest.raises(MetadataRefusedError, match="ended"):
        ceremony.submit(good, actor="t")


def _ids(signers: list[KeySigner]) -> tuple[str, ...]:
    return tuple(one.public_key.keyid for one in signers)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"role": "root", "online": 1, "threshold": 2}, "threshold from 1"),
        ({"role": "root", "online": 1, "threshold": 0}, "threshold from 1"),
        ({"role": "root"}, "1 to 16 keys, got 0"),
        ({"role": "root", "online": 17}, "1 to 16 keys, got 17"),
        ({"role": "timestamp", "public_keys": ("x",)}, "have to be online"),
        ({"role": "director", "public_keys": ("x",)}, "have to be online"),
        ({"role": "root", "public_keys": ("x",)}, "public key in PEM"),
        ({"role": "root", "public_keys": ("x" * 5000,)}, "public key in PEM"),
        ({"role": "root", "public_keys": (P_384,)}, "a P-256 key"),
        ({"role": "root", "public_keys": (pem(new_key()), pem(new_key())), "online": -1}, "1 to 16 keys, got 1"),
    ],
)
def test_changes_that_make_no_sense_are_refused(ceremony: Ceremony, change: dict, reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        ceremony.propose([KeyChange(**change)], actor="t")
    assert not ceremony.waiting()


def test_a_key_has_one_role_once(ceremony: Ceremony) -> None:
    key = pem(new_key())
    taken = next(one for one in ceremony.roles() if one.role == "os").keys[0].public_key
    for changes in (
        [KeyChange(role="root", public_keys=(key, key))],
        [KeyChange(role="root", public_keys=(key,)), KeyChange(role="targets", public_keys=(key,))],
        [KeyChange(role="root", public_keys=(taken,))],
        [KeyChange(role="root", online=1), KeyChange(role="root", online=1)],
        [],
    ):
        with pytest.raises(InvalidArgumentError):
            ceremony.propose(changes, actor="t")
    with pytest.raises(NotFoundError):
        ceremony.propose([KeyChange(role="catalog-x", online=1)], actor="t")


def test_one_change_waits_at_a_time_and_can_be_taken_back(ceremony: Ceremony, host: OpenService) -> None:
    keys = host.service.authority.keys
    assert ceremony.roles()
    before = keys.names("tuf-")
    change = [KeyChange(role="root", public_keys=(pem(new_key()),), online=1, threshold=2)]
    assert not ceremony.propose(change, actor="t")
    with pytest.raises(ConflictError):
        ceremony.propose(change, actor="t")
    ceremony.cancel(actor="t")
    assert keys.names("tuf-") == before
    assert not ceremony.waiting()
    with pytest.raises(NotFoundError):
        ceremony.cancel(actor="t")
    assert not ceremony.propose(change, actor="t")


def test_what_people_do_with_keys_is_in_the_audit_log(ceremony: Ceremony, host: OpenService) -> None:
    key = new_key()
    change = [KeyChange(role="os", public_keys=(pem(key),))]
    ceremony.propose(change, actor="ann")
    ceremony.cancel(actor="bob")
    ceremony.propose(change, actor="ann")
    ceremony.submit(signatures(ceremony, [key]), actor="cyd")
    lines = [(line.operation, line.actor) for line in host.service.audit.list(target="repository").items]
    assert lines == [
        ("repository.sign", "cyd"),
        ("repository.change-keys", "ann"),
        ("repository.cancel", "bob"),
        ("repository.change-keys", "ann"),
    ]


def test_a_cut_at_any_write_of_a_change_of_keys_leaves_a_whole_repository(
    host: OpenService, repository: Repository, ceremony: Ceremony, client: Client
) -> None:
    client.refreshed()
    path = component(host)
    for count in range(100):
        key = new_key()
        ceremony.propose([KeyChange(role="targets", public_keys=(pem(key),))], actor="t")
        brought = signatures(ceremony, [key])
        with pytest.MonkeyPatch.context() as patch:
            is_cut = cut_after(patch, count)
            try:
                ceremony.submit(brought, actor="t")
            except DataFolderError:
                assert is_cut()
        assert client.fetch(path) is not None  # with the keys of before, or of now
        repository.publish()
        assert client.fetch(path) is not None
        if ceremony.waiting():  # cut before the signature was kept: it is brought again
            ceremony.submit(brought, actor="t")
        assert custody(ceremony, "targets")[0] == "offline"
        ceremony.propose([KeyChange(role="targets", online=1)], actor="t")
        ceremony.submit(signatures(ceremony, [key]), actor="t") if ceremony.waiting() else None
        assert custody(ceremony, "targets")[0] == "online"
        if not is_cut():
            assert count >= 5  # pending, targets, snapshot, timestamp, root
            return
    pytest.fail("a change of keys has no end")


def test_a_stolen_timestamp_key_alone_has_no_client_install_anything(repository, client, host) -> None:
    """Positive control of the roles: what one online key signs is refused where another role's is needed."""
    client.refreshed()

    def forge(step: Any) -> None:
        step.next("os").targets = {}

    stolen = repository.keys().signers("timestamp", _all(host, "timestamp"))
    real = repository.keys().signers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository.keys(), "signers", lambda role, ids: stolen if role == "os" else real(role, ids))
        repository.publish(forge)
    assert client.fetch(component(host)) is not None  # it was not complete, and was not published


def _all(host: OpenService, role: str) -> list[str]:
    return [key.key_id for one in host.service.ceremony.roles() if one.role == role for key in one.keys]


def test_the_file_of_a_ceremony_is_read_strictly(ceremony: Ceremony) -> None:
    key = new_key()
    ceremony.propose([KeyChange(role="root", public_keys=(pem(key),))], actor="t")
    documents = exported(ceremony)
    assert read_documents(write_documents(documents)) == documents
    for bad in (b"", b"[]", b"{}", b'{"format": "x", "documents": []}', b'{"format": "armillary release metadata 1"}'):
        with pytest.raises(MetadataRefusedError, match="another file"):
            read_documents(bad)
    with pytest.raises(MetadataRefusedError, match="none of these keys"):
        sign_documents(documents, [new_key()])


def test_an_old_root_alone_cannot_be_followed_by_one_that_it_did_not_sign(repository, client) -> None:
    """Positive control: the client refuses a root whose predecessor's keys did not sign it."""
    client.refreshed()
    forged = json.loads(repository.root())
    forged["signed"]["version"] = 2
    repository.files.write("2.root.json", json.dumps(forged).encode())
    with pytest.raises(RepositoryError):
        client.refreshed()


def test_a_key_is_traced_over_the_versions_of_root(
    host: OpenService, repository: Repository, ceremony: Ceremony
) -> None:
    traces = RepositoryKeyTraces(repository, host.service.audit)
    online = {one.role: one.keys[0].key_id for one in ceremony.roles()}
    first = traces.of(online["root"].upper())
    assert (first.roles, first.is_online, first.until_root) == (("root",), True, None)
    assert [(each.version, each.roles, each.is_signer) for each in first.roots] == [(1, ("root",), True)]
    assert [each.role for each in first.signed] == ["root"]
    assert [each.role for each in traces.of(online["os"]).signed] == ["os"], "delegated, and named by no root"
    root, targets = take_offline(ceremony)
    dropped = traces.of(online["root"])
    assert (dropped.roles, dropped.is_online, dropped.public_key, dropped.until_root) == ((), None, "", 2)
    assert [(each.version, each.roles, each.is_signer) for each in dropped.roots] == [
        (1, ("root",), True),
        (2, (), True),
    ], "the old key signs its successor"
    now = traces.of(root[0].public_key.keyid)
    assert (now.roles, now.is_online, [each.version for each in now.roots]) == (("root",), False, [2])
    assert [each.role for each in traces.of(targets[1].public_key.keyid).signed] == ["targets"]
    assert {line.operation for line in now.audit} == {"repository.change-keys", "repository.sign"}
    for wrong in ("", "0" * 64, "x" * 64, "../1.root"):
        with pytest.raises(NotFoundError):
            traces.of(wrong)
