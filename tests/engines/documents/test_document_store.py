# SPDX-License-Identifier: Apache-2.0
"""The document store: versions, ETags, history, transactions; nothing promised is lost by a kill or a cut."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from armillary.engines.documents import store as store_module
from armillary.engines.documents.document import KINDS, MAX_BODY_BYTES, Document, check_id, encode_body
from armillary.engines.documents.store import Delete, DocumentStore, Put
from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, NotFoundError

NOW = 1_795_000_000.0


def opened(folder: Path) -> DocumentStore:
    return DocumentStore(folder, clock=lambda: NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DocumentStore]:
    made = opened(tmp_path)
    yield made
    made.close()


def test_a_document_has_versions_and_etags_that_never_come_back(store: DocumentStore) -> None:
    first = store.put("rule", "hot", {"limit": 1}, by="ann")
    assert (first.version, first.changed_by, first.changed_ms) == (1, "ann", int(NOW * 1000))
    second = store.put("rule", "hot", {"limit": 2}, by="bob", if_match=first.etag)
    assert (second.version, second.body) == (2, {"limit": 2})
    store.delete("rule", "hot", by="bob", if_match=second.etag)
    again = store.put("rule", "hot", {"limit": 1}, by="ann")
    assert again.version == 4
    assert len({first.etag, second.etag, again.etag}) == 3
    assert [each.body for each in store.history("rule", "hot")] == [{"limit": 1}, None, {"limit": 2}, {"limit": 1}]
    assert store.get("rule", "hot") == again


def test_the_same_body_again_is_no_new_version(store: DocumentStore) -> None:
    first = store.put("job", "a", {"x": 1, "y": [1.5, None, True]}, by="ann")
    seq = store.seq
    assert store.put("job", "a", {"y": [1.5, None, True], "x": 1}, by="bob") == first
    assert store.seq == seq


NAMED = {"a": "Überdruck", "b": "100% full", "c": "100 % full", "d_1": "Cold_room", "d-2": "Coldroom", "e": "STRASSE"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", list(NAMED)),
        ("üBERDRUCK", ["a"]),
        ("%", ["b", "c"]),
        ("0%", ["b"]),
        ("_", ["d_1"]),
        ("COLD", ["d-2", "d_1"]),
        ("straße", ["e"]),
        ("D-", ["d-2"]),
        ("' OR 1 --", []),
        ("\0", []),
    ],
)
def test_documents_are_found_by_a_text_in_their_name_or_id(
    store: DocumentStore, text: str, expected: list[str]
) -> None:
    for document_id, name in NAMED.items():
        store.put("rule", document_id, {"name": name, "note": "cold % _ überdruck"}, by="ann")
        store.put("job", document_id, {"name": name}, by="ann")
    store.put("rule", "z", {"name": None, "display_name": ""}, by="ann")
    expected = sorted([*expected, *(["z"] if not text else [])])
    found, after = [], None
    while True:
        page = store.list("rule", limit=1, after=after, text=text)
        found += [each.id for each in page.items]
        after = page.next_after
        if after is None:
            break
    assert found == expected


@pytest.mark.parametrize("if_match", ["d-999", '"d-999"', "*", "garbage"])
def test_if_match_on_what_is_not_there_is_refused(store: DocumentStore, if_match: str) -> None:
    with pytest.raises(ConflictError) as caught:
        store.put("rule", "new", {}, by="ann", if_match=if_match)
    assert caught.value.code == "request.precondition"
    assert store.find("rule", "new") is None


def test_if_match_guards_put_and_delete(store: DocumentStore) -> None:
    first = store.put("rule", "r", {"n": 1}, by="ann", if_match="")
    for wrong in ("", "d-12345"):
        with pytest.raises(ConflictError):
            store.put("rule", "r", {"n": 2}, by="bob", if_match=wrong)
    for right in (f'"{first.etag}"', f'W/"{first.etag}"'):
        store.put("rule", "r", {"n": 1}, by="ann", if_match=right)
    with pytest.raises(ConflictError):
        store.delete("rule", "r", by="bob", if_match="d-12345")
    store.delete("rule", "r", by="bob", if_match="*")
    with pytest.raises(NotFoundError):
        store.delete("rule", "r", by="bob")


@pytest.mark.parametrize(
    "bad", ["", "A", "a/b", "..", "a..b", ".a", "a.", "-a", "a-", "a b", "a\n", "é", "a" * 129, "con\0", "../../etc"]
)
def test_ids_that_are_no_file_names_are_refused(store: DocumentStore, bad: str) -> None:
    for attempt in (lambda: store.put("rule", bad, {}, by="a"), lambda: store.get("rule", bad)):
        with pytest.raises(InvalidArgumentError):
            attempt()


def test_kinds_are_a_closed_set(store: DocumentStore) -> None:
    with pytest.raises(InvalidArgumentError, match="expected one of dashboard, device"):
        store.put("rules", "a", {}, by="a")
    with pytest.raises(InvalidArgumentError):
        store.list("'; DROP TABLE document; --")


@pytest.mark.parametrize(
    "body",
    [[], None, "x", {"n": float("nan")}, {"n": float("inf")}, {"n": 10**400}, {"s": "\ud800"}, {"o": object()},
     {1: 2}, {"b": b"x"}, {"x": "y" * MAX_BODY_BYTES}],
)  # fmt: skip
def test_bodies_that_are_no_small_json_objects_are_refused(store: DocumentStore, body: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        store.put("rule", "a", body, by="a")
    assert store.count("rule") == 0


def test_a_deep_body_is_refused(store: DocumentStore) -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"d": deep}
    with pytest.raises(InvalidArgumentError, match="levels"):
        store.put("rule", "a", deep, by="a")


def test_lists_come_in_pages_and_by_prefix(store: DocumentStore) -> None:
    ids = [*sorted(f"r{n}" for n in range(25)), "s"]
    store.change([Put("rule", each, {"id": each}) for each in reversed(ids)], by="a")
    store.put("job", "r1", {}, by="a")
    found, after = [], None
    while True:
        page = store.list("rule", limit=7, after=after)
        found += [each.id for each in page.items]
        assert len(page.items) <= 7
        after = page.next_after
        if after is None:
            break
    assert found == ids
    assert [each.id for each in store.list("rule", prefix="r2").items] == ["r2", "r20", "r21", "r22", "r23", "r24"]
    assert store.list("group").items == ()
    with pytest.raises(InvalidArgumentError):
        store.list("rule", limit=0)


def test_devices_of_a_template_are_found_by_an_index(store: DocumentStore) -> None:
    store.change([Put("device", f"{n:04}", {"template": f"t{n % 3}"}) for n in range(30)], by="a")
    store.put("rule", "r", {"template": "t1"}, by="a")
    assert [each.id for each in store.devices.of_template("t1").items] == [f"{n:04}" for n in range(1, 30, 3)]
    assert store.devices.of_template("t1", limit=3).next_after == "0007"
    query = (
        "EXPLAIN QUERY PLAN SELECT id FROM document WHERE kind = 'device' AND json_extract(body, '$.template') = ?"
        " AND id > ? ORDER BY id LIMIT 5"
    )
    plan = store._database.read(lambda connection: connection.execute(query, ("t1", "")).fetchall())
    assert "device_template" in str(plan)


def test_a_change_of_many_is_one_transaction(store: DocumentStore) -> None:
    store.put("rule", "a", {"n": 1}, by="a")
    seq = store.seq
    with pytest.raises(NotFoundError):
        store.change([Put("rule", "a", {"n": 2}), Put("rule", "b", {}), Delete("rule", "missing")], by="a")
    assert store.get("rule", "a").body == {"n": 1}
    assert store.find("rule", "b") is None
    assert store.seq == seq


def test_listeners_hear_of_changes_after_the_commit_and_of_nothing_else(store: DocumentStore) -> None:
    heard: list[tuple[str, str, bool]] = []

    def listen(news: Sequence[Document]) -> None:
        for each in news:
            assert store.find(each.kind, each.id) == (None if each.body is None else each)
            heard.append((each.kind, each.id, each.body is None))

    store.on_change.append(listen)
    store.put("rule", "a", {"n": 1}, by="a")
    store.put("rule", "a", {"n": 1}, by="a")
    with pytest.raises(ConflictError):
        store.put("rule", "a", {"n": 2}, by="a", if_match="d-77")
    store.delete("rule", "a", by="a")
    assert heard == [("rule", "a", False), ("rule", "a", True)]


def test_history_is_bounded(store: DocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(store_module.MAX_HISTORY + 20):
        store.put("rule", "a", {"n": number}, by="a")
    kept = store.history("rule", "a")
    assert len(kept) == store_module.MAX_HISTORY + 1
    assert [each.version for each in kept] == list(range(70, 19, -1))
    for number in range(20):
        store.put("device", "d", {"n": number}, by="a")
    assert len(store.history("device", "d")) == store_module.MAX_HISTORY_OF["device"] + 1
    monkeypatch.setattr(store_module, "MAX_HISTORY_CHARACTERS", 1000)
    for number in range(20):
        store.put("job", "large", {"n": number, "text": "x" * 400}, by="a")
    assert len(store.history("job", "large")) == 3


def test_deleted_documents_are_forgotten_in_the_end(store: DocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_DELETED", 3)
    store.put("rule", "alive", {"n": 1}, by="a")
    for number in range(6):
        store.put("rule", f"r{number}", {}, by="a")
        store.delete("rule", f"r{number}", by="a")
    for number, is_kept in enumerate([False, False, False, True, True, True]):
        if is_kept:
            assert store.history("rule", f"r{number}")[0].body is None
        else:
            with pytest.raises(NotFoundError):
                store.history("rule", f"r{number}")
    assert store.get("rule", "alive").body == {"n": 1}


def test_writers_of_one_document_never_lose_each_other(store: DocumentStore) -> None:
    store.put("rule", "sum", {"n": 0}, by="a")

    def add() -> None:
        for _ in range(25):
            while True:
                seen = store.get("rule", "sum")
                try:
                    store.put("rule", "sum", {"n": seen.content["n"] + 1}, by="a", if_match=seen.etag)
                except ConflictError:
                    continue
                break

    threads = [threading.Thread(target=add) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert store.get("rule", "sum").body == {"n": 100}


def test_what_is_closed_is_there_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    kept = first.put("dashboard", "main", {"tiles": ["ü"]}, by="ann")
    first.close()
    first.close()
    for attempt in (lambda: first.find("dashboard", "main"), lambda: first.delete("dashboard", "main", by="ann")):
        with pytest.raises(DataFolderError, match="closed"):
            attempt()
    second = opened(tmp_path)
    assert second.get("dashboard", "main") == kept
    second.close()
    assert (tmp_path / "application.db").stat().st_mode & 0o077 == 0


def test_a_lost_database_is_not_begun_anew(tmp_path: Path) -> None:
    opened(tmp_path).close()
    for path in tmp_path.glob("application.db*"):
        path.unlink()
    with pytest.raises(DataFolderError, match="missing"):
        opened(tmp_path)


def test_foreign_newer_and_damaged_files_are_refused(tmp_path: Path) -> None:
    foreign = sqlite3.connect(tmp_path / "application.db")
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    with pytest.raises(DataFolderError, match="another program"):
        opened(tmp_path)
    (tmp_path / "application.db").unlink()
    opened(tmp_path).close()
    newer = sqlite3.connect(tmp_path / "application.db")
    newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(DataFolderError, match="schema version"):
        opened(tmp_path)
    (tmp_path / "application.db").write_bytes(b"no database" * 1000)
    with pytest.raises(DataFolderError, match="not a database") as caught:
        opened(tmp_path)
    assert "backup" in caught.value.remedy


def test_a_cut_at_any_byte_of_the_log_leaves_a_state_that_was(tmp_path: Path) -> None:
    folder = tmp_path / "live"
    store = opened(folder)
    for number in range(1, 9):
        store.change([Put("rule", each, {"n": number}) for each in ("a", "b", "c")], by="x")
    whole = (folder / "application.db-wal").read_bytes()
    assert len(whole) > 4096 * 8
    seen = set()
    for length in range(0, len(whole) + 1, 1531):
        cut = tmp_path / f"cut{length}"
        cut.mkdir()
        shutil.copy(folder / "application.db", cut / "application.db")
        (cut / "application.db-wal").write_bytes(whole[:length])
        try:
            again = opened(cut)
        except DataFolderError:  # before the schema itself was complete there is nothing promised
            assert length < 4096 * 12
            continue
        numbers = {each: again.find("rule", each) for each in ("a", "b", "c")}
        states = {None if each is None else each.content["n"] for each in numbers.values()}
        assert len(states) == 1, "a transaction was halved"
        seen |= states
        again.close()
    store.close()
    assert {1, 8} <= seen or {None, 7} <= seen


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
bodies = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), json_values, max_size=5)
names = st.tuples(st.sampled_from(KINDS), st.sampled_from(["a", "b", "c.1", "x-y_z"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(names, st.none() | bodies), max_size=15))
def test_the_store_is_a_mapping_with_memory(tmp_path_factory: Any, steps: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("store")
    store = opened(folder)
    model: dict[tuple[str, str], Any] = {}
    etags: set[str] = set()
    for name, body in steps:
        if body is None:
            if name in model:
                store.delete(*name, by="a")
                del model[name]
            else:
                with pytest.raises(NotFoundError):
                    store.delete(*name, by="a")
        else:
            before = store.find(*name)
            made = store.put(*name, body, by="a")
            if before is None or before != made:
                assert made.etag not in etags
                etags.add(made.etag)
            model[name] = body
    store.close()
    store = opened(folder)
    assert {(each.kind, each.id): each.body for each in store.all(KINDS)} == model
    for (kind, document_id), body in model.items():
        assert store.get(kind, document_id).body == body
    store.close()


@given(st.text(max_size=140))
def test_an_id_is_accepted_only_if_it_is_a_safe_file_name(text: str) -> None:
    try:
        check_id(text)
    except InvalidArgumentError:
        return
    assert text.isascii()
    assert text == text.lower()
    assert "/" not in text
    assert not text.startswith(".")
    assert 1 <= len(text) <= 128


@given(bodies)
def test_a_body_is_written_one_way(body: dict[str, Any]) -> None:
    text = encode_body(body)
    assert text.endswith("\n")
    assert encode_body(dict(reversed(body.items()))) == text
