# SPDX-License-Identifier: Apache-2.0
"""A whole application as files: what was exported is imported as the same, and nothing half."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from armillary.engines.documents.document import Document
from armillary.engines.documents.files import BodyCheck, export_files, keep_files, read_files
from armillary.engines.documents.store import DocumentStore
from armillary.errors import InvalidArgumentError


def import_files(
    store: DocumentStore, files: dict[str, bytes], *, by: str, check: BodyCheck, replace: tuple[str, ...] = ()
) -> tuple[Document, ...]:
    return keep_files(store, read_files(files, check), by=by, replace=replace)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DocumentStore]:
    made = DocumentStore(tmp_path, clock=lambda: 1000.0)
    yield made
    made.close()


def anything(kind: str, document_id: str, body: Mapping[str, Any]) -> None:
    """A check that refuses nothing."""


def test_export_and_import_are_inverse(store: DocumentStore, tmp_path: Path) -> None:
    store.put("template", "pump", {"z": 1, "a": {"ü": [1, 2]}}, by="ann")
    store.put("rule", "hot.1", {"limit": 3.5}, by="ann")
    store.put("device", "f0", {"template": "pump"}, by="ann")
    files = export_files(store)
    assert files == {
        "rule/hot.1.json": b'{\n  "limit": 3.5\n}\n',
        "template/pump.json": '{\n  "a": {\n    "ü": [\n      1,\n      2\n    ]\n  },\n  "z": 1\n}\n'.encode(),
    }
    assert set(export_files(store, ["device"])) == {"device/f0.json"}
    other = DocumentStore(tmp_path / "other", clock=lambda: 2000.0)
    made = import_files(other, files, by="bob", check=anything)
    assert [each.changed_by for each in made] == ["bob", "bob"]
    assert export_files(other) == files
    seq = other.seq
    import_files(other, files, by="bob", check=anything)
    assert other.seq == seq
    other.close()


def test_an_import_can_replace(store: DocumentStore) -> None:
    for name in ("a", "b"):
        store.put("rule", name, {}, by="ann")
        store.put("job", name, {}, by="ann")
    import_files(store, {"rule/b.json": b"{}", "rule/c.json": b"{}"}, by="bob", check=anything, replace=("rule",))
    assert set(export_files(store)) == {"rule/b.json", "rule/c.json", "job/a.json", "job/b.json"}


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("rule/x.json", b"{", "JSON in UTF-8"),
        ("rule/x.json", b"[]", "JSON object"),
        ("rule/x.json", b'{"a":1,"a":2}', "twice"),
        ("rule/x.json", b'{"a":NaN}', "finite"),
        ("rule/x.json", b"\xff", "UTF-8"),
        ("rule/x.json", b'{"a":' + b"[" * 100_000, "levels"),
        ("rule/x.json", b" " * (3 << 20), "at most"),
        ("rule/x", b"{}", "KIND/ID.json"),
        ("x.json", b"{}", "KIND/ID.json"),
        ("../x.json", b"{}", "kind"),
        ("rule/../x.json", b"{}", "id"),
        ("rule/.json", b"{}", "id"),
    ],
)
def test_one_bad_file_stops_all_and_is_named(store: DocumentStore, path: str, content: bytes, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as caught:
        import_files(store, {"rule/good.json": b"{}", path: content}, by="bob", check=anything)
    assert words == "finite" or path in caught.value.message
    assert store.count("rule") == 0


def test_a_check_can_refuse_and_a_mark_of_byte_order_is_accepted(store: DocumentStore) -> None:
    def no_rules(kind: str, document_id: str, body: Mapping[str, Any]) -> None:
        if kind == "rule":
            raise InvalidArgumentError("no rules here", remedy="None.")

    with pytest.raises(InvalidArgumentError, match=r"rule/a\.json: no rules here"):
        import_files(store, {"rule/a.json": b"{}"}, by="bob", check=no_rules)
    import_files(store, {"job/a.json": b'\xef\xbb\xbf{"a":1}'}, by="bob", check=no_rules)
    assert store.get("job", "a").body == {"a": 1}


def test_a_devices_id_is_a_file_name_on_every_file_system(store: DocumentStore, tmp_path: Path) -> None:
    ids = ["Pump:7@north=1", "Pump/left", "pump:7@north=1", "..", "f" * 128]
    for each in ids:
        store.put("device", each, {"id": each}, by="ann")
    files = export_files(store, ["device"])
    assert "device/%50ump%3a7%40north%3d1.json" in files
    assert len({path.lower() for path in files}) == len(ids)
    other = DocumentStore(tmp_path / "other", clock=lambda: 1.0)
    import_files(other, files, by="bob", check=anything)
    assert sorted(each.id for each in other.all(["device"])) == sorted(ids)
    other.close()
    for bad in ("device/Pump.json", "device/%70ump.json", "device/a%2fb%2fc.json", "device/%2fb.json", "rule/%41.json"):
        with pytest.raises(InvalidArgumentError):
            import_files(store, {bad: b"{}"}, by="bob", check=anything)
