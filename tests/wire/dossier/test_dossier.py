# SPDX-License-Identifier: Apache-2.0
"""A dossier is verified by its key alone, and with any byte changed, put in, left out or moved it is none."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies as st

from armillary.errors import SignatureError, WireError
from armillary.wire.dossier import archive, dossier as dossiers
from armillary.wire.transparency import note as notes

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in (1, 2))
NAME = "service.example/dossier"
TRUSTED = notes.verifier_key(NAME, notes.ED25519, KEY)
ID, AT = UUID(int=7), 1_800_000_000
FACT = b'{"a": 1}\n'
DIGEST = sha256(FACT).hexdigest()


def sign(key: Ed25519PrivateKey = KEY, name: str = NAME) -> Callable[[str], notes.NoteSignature]:
    return lambda text: notes.sign(text, name, key)


def document(**changes: Any) -> dict[str, Any]:
    statement = {
        "id": "1", "reference": "Annex(1)", "title": "First", "status": "", "state": "present", "says": "It is there.",
        "facts": ["a"], "evidence": [{"part": "evidence/facts/a.json", "sha256": DIGEST}],
    }  # fmt: skip
    facts = {"a": {"state": "present", "says": "s", "sources": ["audit 1"], "evidence": ["evidence/facts/a.json"]}}
    made: dict[str, Any] = {
        "format": dossiers.VERSION, "dossier_id": str(ID), "made_at": AT, "catalog": "Contoso", "product": "", "logs": {},
        "standards": [{"id": "t", "title": "T", "source": "s", "statements": [statement]}], "facts": facts,
    }  # fmt: skip
    return {**made, **changes}


def parts_of(found: dict[str, Any]) -> dict[str, bytes]:
    return {
        "dossier.json": dossiers.text_of(found),
        "summary.txt": b"For people.\n",
        "evidence/facts/a.json": FACT,
    }


def sealed(**changes: Any) -> bytes:
    return dossiers.seal(ID, AT, parts_of(document(**changes)), sign())


GOOD = sealed()


def verified(content: bytes) -> dossiers.VerifiedDossier:
    return dossiers.verify(dossiers.parse(content), TRUSTED)


def test_what_was_sealed_is_verified_and_any_tool_opens_it() -> None:
    found = verified(GOOD)
    assert (found.dossier_id, found.made_at, found.counts()["present"]) == (ID, AT, 1)
    with zipfile.ZipFile(io.BytesIO(GOOD)) as opened:
        assert opened.testzip() is None
        assert opened.read("evidence/facts/a.json") == FACT
        assert opened.namelist()[:3] == ["manifest.txt", "index.json", "dossier.json"]


def test_every_byte_counts() -> None:
    """Each byte of the file, changed in three ways: none of them is verified."""
    assert len(GOOD) < 4000
    accepted = []
    for place in range(len(GOOD)):
        for flip in (0x01, 0x20, 0x80):
            changed = bytearray(GOOD)
            changed[place] ^= flip
            try:
                verified(bytes(changed))
            except WireError:
                continue
            accepted.append((place, flip))
    assert accepted == []


def test_without_the_one_spelling_bytes_would_be_free() -> None:
    """The control: an ordinary reader of archives takes a file whose headers were changed."""
    changed = bytearray(GOOD)
    changed[10] ^= 1  # the time of the first member, which no reader looks at
    with zipfile.ZipFile(io.BytesIO(bytes(changed))) as opened:
        assert opened.testzip() is None
    with pytest.raises(WireError):
        archive.parse(bytes(changed))


@pytest.mark.parametrize("cut", [0, 1, 100, len(GOOD) // 2, len(GOOD) - 1])
def test_a_cut_or_longer_file_is_refused(cut: int) -> None:
    for content in (GOOD[:cut], GOOD[cut:] + b"x", GOOD + GOOD[:cut] + b"x"):
        with pytest.raises(WireError):
            verified(content)


def test_parts_that_are_moved_swapped_put_in_or_left_out_are_refused() -> None:
    parts = archive.parse(GOOD)
    names = list(parts)
    moved = {name: parts[name] for name in (*names[:3], names[4], names[3])}
    swapped = {**parts, names[3]: parts[names[4]], names[4]: parts[names[3]]}
    without = {name: parts[name] for name in names[:-1]}
    for changed in (moved, swapped, without, {**parts, "evidence/more.json": b"{}"}, {names[1]: b"", **parts}):
        with pytest.raises(WireError):
            verified(archive.encode(changed))
    assert verified(archive.encode(parts)).document == document()


def test_another_key_or_another_name_of_it_is_refused() -> None:
    foreign = dossiers.seal(ID, AT, parts_of(document()), sign(OTHER))
    renamed = dossiers.seal(ID, AT, parts_of(document()), sign(KEY, "other.example/dossier"))
    for content in (foreign, renamed):
        with pytest.raises(SignatureError):
            verified(content)
    both = archive.parse(GOOD)
    both["manifest.txt"] += sign(OTHER, "eve")("x").line.encode()
    with pytest.raises(WireError):
        verified(archive.encode(both))


def test_a_manifest_of_another_dossier_does_not_fit() -> None:
    other = archive.parse(sealed(catalog="Fabrikam"))
    mixed = {**archive.parse(GOOD), "manifest.txt": other["manifest.txt"]}
    with pytest.raises(WireError, match="the parts that were signed"):
        verified(archive.encode(mixed))


def statement(**changes: Any) -> dict[str, Any]:
    found = document()
    found["standards"][0]["statements"][0].update(changes)
    return found


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (statement(state="compliant"), "a state of"),
        (statement(says=""), "a state of"),
        (statement(evidence=[]), "evidence of what is present"),
        (statement(state="stale", evidence=[]), "evidence of what is present"),
        (statement(evidence=[{"part": "evidence/none", "sha256": DIGEST}]), "evidence that is in the file"),
        (statement(evidence=[{"part": "summary.txt", "sha256": DIGEST}]), "the evidence of"),
        (statement(facts=["b"]), "facts that are in it"),
        (statement(title=7), "a text"),
        (document(standards=[]), "1 to"),
        (document(dossier_id=str(UUID(int=8))), "the document of this manifest"),
        (document(facts=[]), "members of a dossier"),
        (document(logs={"audit": "x"}) | {"catalog": None}, "a text"),
    ],
)
def test_a_signer_seals_nothing_that_a_verifier_would_refuse(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(WireError, match=said):
        dossiers.seal(ID, AT, parts_of(wrong), sign())
    index = dossiers.index_of(parts_of(wrong))
    text = dossiers.manifest_text(ID, AT, index)
    note = notes.UnverifiedNote(text, (sign()(text),)).document.encode()
    forged = archive.encode({"manifest.txt": note, "index.json": index, **parts_of(wrong)})
    with pytest.raises(WireError, match=said):
        verified(forged)


def test_what_is_absent_needs_no_evidence_and_json_has_one_spelling() -> None:
    found = dossiers.seal(ID, AT, parts_of(statement(state="absent", evidence=[])), sign())
    assert verified(found).counts() == {"present": 0, "absent": 1, "stale": 0, "out-of-scope": 0}
    other = {**parts_of(document()), "dossier.json": json.dumps(document()).encode()}
    with pytest.raises(WireError, match="one spelling"):
        dossiers.seal(ID, AT, other, sign())


names = st.from_regex(archive.NAME, fullmatch=True)


@settings(max_examples=50)
@given(st.dictionaries(names, st.binary(max_size=200), min_size=1, max_size=8))
def test_an_archive_gives_back_what_was_put_in_as_the_library_reads_it(parts: dict[str, bytes]) -> None:
    made = archive.encode(parts)
    assert archive.parse(made) == parts
    assert list(archive.parse(made)) == list(parts)
    with zipfile.ZipFile(io.BytesIO(made)) as opened:
        assert {each: opened.read(each) for each in opened.namelist()} == parts


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=len(GOOD)))
def test_any_bytes_are_a_dossier_or_one_error(noise: bytes, at: int) -> None:
    for content in (noise, GOOD[:at] + noise + GOOD[at:], GOOD[:at] + noise):
        if content == GOOD:
            continue
        with pytest.raises(WireError):
            verified(content)


@pytest.mark.parametrize("name", ["", "../x", "a/../b", "/x", "A", "a//b", "a/b/c/d/e", "x" * 81, "a\\b", "é"])
def test_no_name_leads_out_of_the_archive(name: str) -> None:
    with pytest.raises(WireError, match="names of"):
        archive.encode({name: b""})


def test_what_is_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 100)
    with pytest.raises(WireError, match="at most 200"):
        archive.parse(b"x" * 201)
    with pytest.raises(WireError, match="together"):
        archive.encode({"a": b"x" * 101})
    monkeypatch.setattr(archive, "MAX_PARTS", 1)
    with pytest.raises(WireError, match="1 to 1"):
        archive.encode({"a": b"", "b": b""})


@pytest.mark.parametrize(
    "changes",
    [{"standards": [{}]}, {"standards": None}, {"made_at": "now"}, {"dossier_id": 7}, {"facts": []}, {"logs": 1}],
)
def test_a_document_that_nobody_signed_is_shown_in_its_form_or_refused(changes: dict[str, Any]) -> None:
    assert dossiers.unverified_document(dossiers.parse(GOOD)) == document()
    good = dossiers.parse(GOOD)
    hostile = dossiers.UnverifiedDossier(note=good.note, parts={**good.parts, **parts_of(document(**changes))})
    with pytest.raises(WireError):
        dossiers.unverified_document(hostile)


def test_a_document_that_is_no_json_is_refused() -> None:
    good = dossiers.parse(GOOD)
    for content in (b"", b"[" * 100_000, b"{}", b"\xff"):
        with pytest.raises(WireError):
            dossiers.unverified_document(dossiers.UnverifiedDossier(note=good.note, parts={"dossier.json": content}))
