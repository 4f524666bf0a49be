# SPDX-License-Identifier: Apache-2.0
"""Both ways of making the tables give the same tables; older and newer databases are told apart."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import create_engine, inspect, text

from armillary.engines.records import migrate as migrations, store
from armillary.engines.records.migrate import known_revisions, migrate, upgrade
from armillary.engines.records.schema import schema
from armillary.engines.records.store import Records
from armillary.errors import DataFolderError
from armillary.service.watch.detections import in_catalog


def tables(database: Path) -> list[tuple[str, str, str]]:
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")).all()
    engine.dispose()
    return [(kind, name, " ".join((sql or "").split())) for kind, name, sql in rows if name != "alembic_version"]


def columns(database: Path) -> dict[str, object]:
    engine = create_engine(f"sqlite:///{database}")
    found = inspect(engine)
    described = {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)],
            sorted((str(i["name"]), tuple(i["column_names"]), i["unique"]) for i in found.get_indexes(name)),
            sorted(tuple(u["column_names"]) for u in found.get_unique_constraints(name)),
            sorted((tuple(f["constrained_columns"]), f["referred_table"]) for f in found.get_foreign_keys(name)),
            found.get_pk_constraint(name)["constrained_columns"],
        )
        for name in found.get_table_names()
        if name != "alembic_version"
    }
    engine.dispose()
    return described


def test_migrations_from_zero_equal_a_new_database(tmp_path: Path) -> None:
    Records.open(tmp_path / "new.db", fresh=True).close()
    upgrade(tmp_path / "migrated.db")
    assert columns(tmp_path / "migrated.db") == columns(tmp_path / "new.db")
    assert len(tables(tmp_path / "new.db")) > 20
    assert set(columns(tmp_path / "new.db")) == set(schema.metadata.tables)
    Records.open(tmp_path / "migrated.db", fresh=False).close()


def test_the_newest_migration_is_the_one_new_folders_are_stamped_with() -> None:
    assert max(known_revisions()) == schema.REVISION


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    records = Records.open(database, fresh=True)
    records.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    records.close()
    before = tables(database)
    with pytest.raises(DataFolderError, match="9999"):
        Records.open(database, fresh=False)
    assert tables(database) == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DataFolderError) as refused:
        Records.open(tmp_path / "records.db", fresh=False)
    assert refused.value.remedy


def test_nothing_is_done_when_the_revision_is_the_newest(tmp_path: Path) -> None:
    migrate(tmp_path / "does-not-exist.db", schema.REVISION)
    assert list(tmp_path.iterdir()) == []


def test_alembic_is_not_in_the_memory_of_a_service() -> None:
    code = "import sys, armillary.engines.records.store; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_upgrade_in_another_process_finds_no_lock_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "records.db"
    Records.open(database, fresh=True).close()
    asked: list[str] = []

    def elsewhere(path: Path, revision: str) -> None:
        asked.append(revision)
        with contextlib.closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            other.execute("CREATE TABLE of_an_upgrade (x)")
            other.execute("COMMIT")

    monkeypatch.setattr(store, "migrate", elsewhere)
    Records.open(database, fresh=False).close()
    assert asked == [schema.REVISION]
    assert ("table", "of_an_upgrade") in {(kind, name) for kind, name, _ in tables(database)}


@pytest.mark.parametrize("revision", sorted(known_revisions()))
def test_every_older_database_is_opened_and_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    """What the process of an upgrade does is done in this one here: it would take a second for each revision."""
    database = tmp_path / "records.db"
    upgrade(database, revision)
    monkeypatch.setattr(migrations.subprocess, "run", upgraded_here)
    records = Records.open(database, fresh=False)
    stamped = records.read(lambda c: c.execute(text("SELECT version_num FROM alembic_version")).scalar())
    records.close()
    assert stamped == schema.REVISION


def upgraded_here(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
    """Do what ``python -m armillary.engines.records.migrate DATABASE`` does."""
    assert command[:-1] == [sys.executable, "-m", migrations.__name__]
    upgrade(Path(command[-1]))
    return subprocess.CompletedProcess(command, 0, "", "")


def test_the_oldest_database_is_upgraded_by_a_process_of_its_own(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, min(known_revisions()))
    Records.open(database, fresh=False).close()
    Records.open(tmp_path / "new.db", fresh=True).close()
    assert columns(database) == columns(tmp_path / "new.db")


def test_an_upgrade_that_fails_says_why_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0001")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("DELETE FROM alembic_version")  # so that it begins with what is there
    before = tables(database)
    monkeypatch.setattr(schema, "REVISION", "newest")
    with pytest.raises(DataFolderError, match="already exists") as refused:
        migrate(database, "0001")
    assert refused.value.remedy
    assert tables(database) == before


def test_check_ins_survive_the_new_order_of_their_challenges_and_are_refused_twice(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0009")
    names = "device_number, at, verdict, steps_id, boot_count, os_version, certificate_serial, certificate_not_after"
    columns_given = f"{names}, purpose, challenge_id, challenge_expires_at"
    again = f"INSERT INTO check_in ({columns_given}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - names of the schema
    rows = [(1, 5, "attested", 1, 1, "26.11", f"{n:034X}", 9, "client", bytes([n]) * 16, 60 + n) for n in range(3)]
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        older.executemany(again, rows)
        before = older.execute("SELECT * FROM check_in ORDER BY number").fetchall()
    upgrade(database, "0010")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as newer:
        assert newer.execute("SELECT * FROM check_in ORDER BY number").fetchall() == before
        with pytest.raises(sqlite3.IntegrityError, match="challenge_expires_at"):
            newer.execute(again, (2, 6, "attested", 1, 1, "26.11", "00", 9, "client", *rows[1][-2:]))


def test_images_and_deployments_survive_that_an_image_is_one_of_its_catalog(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0013")
    add_image = (
        "INSERT INTO image (image_id, catalog_id, component_id, image_type, name, size, sha256, built_at, architecture,"
        " allowed_connections, regional_data_boundary, uploaded_at, uploaded_by)"
        " VALUES (?, ?, '04', 10, 'meter', 10, x'05', 1, 'any', '[]', 'None', 1, 'ana')"
    )
    add_part = "INSERT INTO deployment_image (deployment_id, position, image_id, component_id) VALUES (?, 0, ?, '04')"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        for owner, image in (("01", "03"), ("02", "06")):
            older.execute(add_image, (image, owner))
            older.execute(add_part, (image, image))
        with pytest.raises(sqlite3.IntegrityError):
            older.execute(add_image, ("03", "02"))
        before = older.execute("SELECT name, sha256, uploaded_by FROM image").fetchall()
    upgrade(database, "0014")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as newer:
        parts = newer.execute("SELECT image_id, catalog_id FROM deployment_image ORDER BY image_id").fetchall()
        assert parts == [("03", "01"), ("06", "02")]
        assert newer.execute("SELECT name, sha256, uploaded_by FROM image").fetchall() == before
        newer.execute(add_image, ("03", "02"))
        with pytest.raises(sqlite3.IntegrityError):
            newer.execute(add_image, ("03", "02"))


def test_findings_of_several_catalogs_become_those_of_the_one_that_has_them(tmp_path: Path) -> None:
    database, alpha, beta = tmp_path / "records.db", UUID(int=1), UUID(int=2)
    upgrade(database, "0015")
    add_finding = (
        "INSERT INTO finding (finding_id, fingerprint, open_key, kind, severity, title, cause, proposed_action, status,"
        " count, first_seen, last_seen, catalog_id) VALUES (?, ?, ?, ?, 'low', 't', 'c', 'p', 'open', 1, 1, 1, ?)"
    )
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        older.execute("PRAGMA foreign_keys=OFF")
        for number, owner in enumerate((alpha, beta)):
            older.execute(
                "INSERT INTO device (number, device_id, chip, chip_sku, trust_tier, manufacturing_state, enrolled_at,"
                " catalog_id, revoked_reason) VALUES (?, ?, 'mt3620', 's', 'software', 'DeviceComplete', 1, ?, '')",
                (number, f"d{number}", owner.hex),
            )
        for finding, kind, owner in (("f", "application-crashed", beta.hex), ("g", "verifier-behind", None)):
            older.execute(add_finding, (finding, finding * 8, finding * 8, kind, owner))
        older.execute(add_finding, ("h", "h" * 8, None, "application-crashed", alpha.hex))
        older.executemany("INSERT INTO finding_device VALUES ('f', ?)", (("d0",), ("d1",)))
    upgrade(database)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as newer:
        assert newer.execute("SELECT device_id FROM finding_device").fetchall() == [("d1",)], "Alpha's is not Beta's"
        rows = newer.execute("SELECT fingerprint, open_key, cause FROM finding ORDER BY number").fetchall()
    ours = [in_catalog(beta, "f" * 8), in_catalog(None, "g" * 8), in_catalog(alpha, "h" * 8)]
    assert [row[0] for row in rows] == ours
    assert [row[1] for row in rows] == [*ours[:2], None]
    assert rows[0][2].startswith("Devices of this catalog and of another")
    assert rows[1][2] == "c"


def test_rolled_back_rollouts_get_back_who_failed_and_why(tmp_path: Path) -> None:
    database, rollout, deployment = tmp_path / "records.db", UUID(int=1), UUID(int=2)
    upgrade(database, "0017")
    line = "INSERT INTO audit_line VALUES (?, ?, ?, ?, ?, ?, x'00', x'00')"
    outcome = (
        "INSERT INTO outcome (device_number, offer_id, deployment_id, image_id, component_id, outcome, reason, at,"
        " received_at) VALUES (?, '05', ?, '06', '07', ?, ?, 1, 1)"
    )
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        older.execute("PRAGMA foreign_keys=OFF")
        older.execute(
            "INSERT INTO rollout (rollout_id, group_id, deployment_id, policy, state, cohort, reason, created_at,"
            " created_by, changed_at) VALUES (?, '03', ?, '{}', 'rolled-back', 0, 'every device ...', 1, 't', 1)",
            (rollout.hex, deployment.hex),
        )
        for number, state in enumerate(("restored", "restored", "timed-out")):
            older.execute("INSERT INTO rollout_device VALUES (?, ?, 0, ?, 1, 1, 1, '')", (rollout.hex, number, state))
        for number, told, reason in ((0, "confirmed", ""), (0, "reverted", "it crashed"), (1, "confirmed", "")):
            older.execute(outcome, (number, deployment.hex, told, reason))
        for number, operation in enumerate(("rollout.start", "rollout.hold", "rollout.cohort", "rollout.restored")):
            older.execute(line, (number, 10 + number, "planner", operation, str(rollout), '{"reason": "bad"}'))
    upgrade(database)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as newer:
        rows = newer.execute("SELECT failure, reason FROM rollout_device ORDER BY device_number").fetchall()
        assert newer.execute("SELECT started_at, timed_from FROM rollout_device").fetchall() == [(1, 1)] * 3
        assert rows == [("reverted", "it crashed"), (None, ""), ("timed-out", "")]
        history = json.loads(newer.execute("SELECT history FROM rollout").fetchone()[0])
    assert [(one["at"], one["event"], one["reason"]) for one in history] == [
        (11, "hold", "bad"),
        (13, "restored", "bad"),
    ]


def test_a_completed_rollout_of_an_os_knows_where_its_release_came_from(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0023")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        older.execute("PRAGMA foreign_keys=OFF")
        for name, release, state in ((1, 7, "completed"), (2, 7, "running"), (3, None, "completed")):
            older.execute(
                "INSERT INTO rollout (rollout_id, policy, state, cohort, reason, created_at, created_by, changed_at,"
                " due, reach, by_place, release_id) VALUES (?, '{}', ?, 0, '', 1, 't', 1, 0, 0, true, ?)",
                (UUID(int=name).hex, state, release and UUID(int=release).hex),
            )
    upgrade(database)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as newer:
        rows = newer.execute("SELECT from_feed FROM rollout ORDER BY rollout_id").fetchall()
    assert rows == [("RetailEval",), (None,), (None,)]


def test_what_the_watch_had_not_read_of_counted_rows_is_read_after_the_upgrade(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0024")
    add_report = (
        "INSERT INTO error_report (device_number, boot_count, sequence, event_category, event_class, event_type,"
        " description, count, start_at, end_at, received_at) VALUES (1, ?, ?, 'Unplanned', 'OS', 't', '', 7, 1, 1, 1)"
    )
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        older.execute("PRAGMA foreign_keys=OFF")
        for minute in (1, 2, 3):
            older.execute("INSERT INTO refusal (device_id, code, minute, at, message, count) VALUES"
                          " ('d', 'wire.signature', ?, 1, 'm', 5)", (minute,))  # fmt: skip
        for boot_count, sequence in ((-1, 1), (4, 1), (-1, 2), (4, 2)):
            older.execute(add_report, (boot_count, sequence))
        older.execute("INSERT INTO watch_position VALUES ('refusal', 2), ('error_report', 1)")
    upgrade(database)
    with contextlib.closing(sqlite3.connect(database)) as newer:
        assert newer.execute("SELECT unread FROM refusal ORDER BY number").fetchall() == [(None,), (None,), (5,)]
        reports = newer.execute("SELECT boot_count, unread FROM error_report ORDER BY number").fetchall()
        assert reports == [(-1, None), (4, None), (-1, 7), (4, None)]


def test_what_was_signed_before_signing_keys_were_renewed_is_by_the_key_there_was(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0026")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        for serial, kind, at in (("A1", "os-signing", 1), ("B1", "image-signing", 1), ("C1", "root", 0)):
            older.execute(
                "INSERT INTO certificate (serial, kind, subject, thumbprint, not_before, not_after, der, issued_at)"
                " VALUES (?, ?, '', '', 0, 9, x'', ?)",
                (serial, kind, at),
            )
        for number, signed_at in ((1, 5), (2, None)):
            older.execute(
                "INSERT INTO os_release (release_id, chip, version, feed, created_at, signed_at)"
                " VALUES (?, 'mt3620', ?, 'Retail', 5, ?)",
                (f"{number:032x}", str(number), signed_at),
            )
    Records.open(database, fresh=False).close()
    with contextlib.closing(sqlite3.connect(database)) as newer:
        signers = dict(newer.execute("SELECT version, signer FROM os_release").fetchall())
        stores = newer.execute("SELECT count(*) FROM trust_store").fetchone()
    assert signers == {"1": "A1", "2": ""}, "a draft that nobody signed stays so"
    assert stores == (0,), "the service makes the first at its start"


def test_catalogs_know_the_people_who_were_granted_something_there(tmp_path: Path) -> None:
    database, alpha, beta, ann, bob = tmp_path / "records.db", *(bytes([n]).hex() * 16 for n in range(4))
    upgrade(database, "0044")
    add_person = (
        "INSERT INTO person (person_id, login, login_key, name, state, created_at, created_by) "
        "VALUES (?, ?, ?, '', 'active', 1, 'first')"
    )
    add_grant = (
        "INSERT INTO person_grant (grant_id, person_id, role, catalog_id, origin, created_at, created_by)"
        " VALUES (?, ?, 'Reader', ?, 'administrator', ?, ?)"
    )
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        for person_id, login in ((ann, "ann@x.example"), (bob, "bob@x.example")):
            older.execute(add_person, (person_id, login, login))
        grants = ((ann, beta, 9, "late"), (ann, beta, 5, "early"), (ann, alpha, 7, "other"), (bob, None, 8, "first"))
        for number, grant in enumerate(grants, 16):
            older.execute(add_grant, (bytes([number]).hex() * 16, *grant))
    upgrade(database)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as newer:
        found = newer.execute(
            "SELECT catalog_id, person_id, known_as, created_at, created_by, acted_at FROM catalog_person"
        ).fetchall()
        assert sorted(found) == [
            (alpha, ann, "ann@x.example", 7, "other", None),
            (beta, ann, "ann@x.example", 5, "early", None),
        ]
        assert newer.execute("SELECT COUNT(DISTINCT entry_id) FROM catalog_person").fetchone() == (2,)
        assert newer.execute("SELECT invited_for FROM person").fetchall() == [(None,), (None,)]
