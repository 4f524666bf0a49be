# SPDX-License-Identifier: Apache-2.0
r"""A dossier: which parts its file has, who signed them, and what it says.

::

    manifest.txt     signed note (C2SP signed-note): the lines "armillary dossier 1", id, time (Unix seconds), and the
                     SHA-256 of index.json; one signature, of the service's dossier key
    index.json       [[name, bytes, SHA-256] ...] of every part behind it, in their order
    dossier.json     what is said: below
    summary.txt      the same for people
    evidence/...     what it rests on

    { "format": "armillary dossier 1", "dossier_id": uuid, "made_at": seconds,
      "catalog": name or "" for all, "product": name or "",
      "logs": { "audit": verifier key, "releases": verifier key },
      "standards": [ { "id", "title", "source",
          "statements": [ { "id", "reference", "title", "status", "state", "says",
              "facts": [name ...], "evidence": [ { "part": name, "sha256": hex } ... ] } ... ] } ... ],
      "facts": { name: { "state", "says", "sources": [text ...], "evidence": [name of a part ...] } } }

JSON is written with sorted keys and an indent of one space, and read in this one spelling. What is present or stale has
evidence, and every digest is that of the part in the file. So the signature covers each byte, and what it says can be
looked up in the file alone. The two log proofs are verified with the keys that the dossier names: that the log is the
service's, one knows from somewhere else (``armillary audit logs``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from armillary.errors import SignatureError
from armillary.wire.dossier import archive
from armillary.wire.dossier.archive import refused
from armillary.wire.transparency import bundle as bundles, note as notes
from armillary.wire.transparency.bundle import VerifiedBundle
from armillary.wire.transparency.note import NoteSignature, UnverifiedNote, VerifierKey, parse_verifier_key

VERSION: Final = "armillary dossier 1"
MANIFEST: Final = "manifest.txt"
INDEX: Final = "index.json"
DOSSIER: Final = "dossier.json"
SUMMARY: Final = "summary.txt"
PROOFS: Final[Mapping[str, str]] = {"audit": "evidence/audit-proof.json", "releases": "evidence/release-proof.json"}
STATES: Final = ("present", "absent", "stale", "out-of-scope")
MAX_STATEMENTS: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedDossier:
    """A dossier as it came: nobody may have signed it."""

    note: UnverifiedNote
    parts: Mapping[str, bytes]  # All but the manifest, in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDossier:
    """A dossier that the service has signed.

    Attributes:
        document: What ``dossier.json`` says.
        proofs: Log -> what its proof proves, of those that are in it.
    """

    dossier_id: UUID
    made_at: int
    document: Mapping[str, Any]
    parts: Mapping[str, bytes]
    proofs: Mapping[str, VerifiedBundle]

    def counts(self) -> dict[str, int]:
        """How many statements have each state."""
        found = dict.fromkeys(STATES, 0)
        for each in statements_of(self.document):
            found[each["state"]] += 1
        return found


def text_of(value: object) -> bytes:
    """JSON as a dossier has it: one spelling."""
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def index_of(parts: Mapping[str, bytes]) -> bytes:
    """``index.json`` of the parts behind it."""
    rows = [[name, len(content), sha256(content).hexdigest()] for name, content in parts.items()]
    return json.dumps(rows, indent=1).encode() + b"\n"


def manifest_text(dossier_id: UUID, made_at: int, index: bytes) -> str:
    """What is signed."""
    return f"{VERSION}\n{dossier_id}\n{made_at}\n{sha256(index).hexdigest()}\n"


def seal(dossier_id: UUID, made_at: int, parts: Mapping[str, bytes], sign: Callable[[str], NoteSignature]) -> bytes:
    """The file of some parts, the first of which is ``dossier.json``.

    ``sign`` signs a text with the dossier key.

    Raises:
        WireError: too many or too large parts, or a document that a verifier would refuse.
    """
    _checked(_document(parts), parts, dossier_id, made_at)
    index = index_of(parts)
    text = manifest_text(dossier_id, made_at, index)
    note = UnverifiedNote(text, (sign(text),))
    return archive.encode({MANIFEST: note.document.encode(), INDEX: index, **parts})


def parse(content: bytes) -> UnverifiedDossier:
    """A dossier that nobody has verified.

    Raises:
        WireError: it breaks the format of its container or of its manifest.
    """
    parts = archive.parse(content)
    if list(parts)[:3] != [MANIFEST, INDEX, DOSSIER]:
        raise refused(f"{MANIFEST}, {INDEX} and {DOSSIER} first", ", ".join(list(parts)[:3]))
    manifest = parts.pop(MANIFEST)
    note = notes.parse(manifest)
    if note.document.encode() != manifest:
        raise refused("the one spelling of a note", "another one")
    return UnverifiedDossier(note=note, parts=parts)


def unverified_document(found: UnverifiedDossier) -> Mapping[str, Any]:
    """What ``dossier.json`` says, in its form, and nobody may have signed it.

    Raises:
        WireError: it is not in its form, or names evidence that is not in the file.
    """
    document = _document(found.parts)
    _check_form(document, found.parts)
    return document


def verify(found: UnverifiedDossier, key: VerifierKey) -> VerifiedDossier:
    """What a dossier says, to who trusts the service's dossier key.

    (1) ``key``, and nobody else, has signed the manifest; (2) it names the index, and the index names every other part
    by its digest, in their order; (3) the document has its form, and its evidence is there; (4) the log proofs are
    proofs of the logs that it names.

    Raises:
        SignatureError: (1).
        WireError: (2), (3) or (4); ProofError where an entry is not in its log.
    """
    signed = notes.verify(found.note, (key,))  # (1)
    if len(found.note.signatures) != 1:
        raise SignatureError(archive.FORMAT, expected="one signature", got=str(len(found.note.signatures)))
    lines = signed.text[:-1].split("\n")
    if len(lines) != 4 or lines[0] != VERSION or not lines[2].isdigit():
        raise refused(f"the manifest of {VERSION!r}", f"{lines[0]!r:.60}")
    parts = dict(found.parts)
    index = parts.pop(INDEX)
    if sha256(index).hexdigest() != lines[3] or index_of(parts) != index:  # (2)
        raise refused("the parts that were signed", "other ones: one was changed, put in, left out or moved")
    try:
        dossier_id, made_at = UUID(lines[1]), int(lines[2])
    except ValueError as error:
        raise refused("an id and a time", f"{lines[1]!r:.60}") from error
    document = _document(parts)
    _checked(document, parts, dossier_id, made_at)  # (3)
    return VerifiedDossier(
        dossier_id=dossier_id,
        made_at=made_at,
        document=document,
        parts=parts,
        proofs=_proofs(document, parts),  # (4)
    )


def statements_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All statements of a document."""
    return [each for standard in document["standards"] for each in standard["statements"]]


def _document(parts: Mapping[str, bytes]) -> Mapping[str, Any]:
    content = parts.get(DOSSIER, b"")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise refused("JSON", f"{error!s:.60}") from error
    if type(found) is not dict or text_of(found) != content:
        raise refused(f"{DOSSIER} in its one spelling", "another one")
    return found


def _checked(document: Mapping[str, Any], parts: Mapping[str, bytes], dossier_id: UUID, made_at: int) -> None:
    """Raise WireError unless a document has its form, is of this dossier, and has its evidence in the file."""
    _check_form(document, parts)
    said = (document["dossier_id"], document["made_at"])
    if said != (str(dossier_id), made_at):
        raise refused("the document of this manifest", f"{said!r:.100}")


def _check_form(document: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
    try:
        if document["format"] != VERSION or type(document["made_at"]) is not int:
            raise refused(f"the document of {VERSION!r} and a time", f"{document['format']!r:.60}")
        names = (document["dossier_id"], document["catalog"], document["product"], *document["logs"].values())
        for name in (*names, *(each["id"] for each in document["standards"])):
            _text(name)
        statements = statements_of(document)
        if not 0 < len(statements) <= MAX_STATEMENTS:
            raise refused(f"1 to {MAX_STATEMENTS} statements", str(len(statements)))
        for each in document["facts"].values():
            _check_said(each, each["evidence"], parts)
            list(map(_text, each["sources"]))
        for each in statements:
            _check_statement(each, document["facts"], parts)
    except (KeyError, TypeError, AttributeError) as error:
        raise refused("the members of a dossier", f"{error!r:.80}") from error


def _check_statement(found: Mapping[str, Any], facts: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
    for name in ("id", "reference", "title", "status"):
        _text(found[name])
    _check_said(found, [each["part"] for each in found["evidence"]], parts)
    for each in found["evidence"]:
        if sha256(parts[each["part"]]).hexdigest() != each["sha256"]:
            raise refused(f"the evidence of {found['id']:.60}", "a part of another digest")
    if missing := set(found["facts"]) - set(facts):
        raise refused("facts that are in it", f"{min(missing):.60}")


def _check_said(found: Mapping[str, Any], evidence: Sequence[str], parts: Mapping[str, bytes]) -> None:
    if found["state"] not in STATES or not _text(found["says"]):
        raise refused(f"a state of {', '.join(STATES)} and a text", f"{found['state']!r:.40}")
    if missing := [each for each in evidence if each not in parts]:
        raise refused("evidence that is in the file", f"{missing[0]!r:.80}")
    if found["state"] in ("present", "stale") and not evidence:
        raise refused("evidence of what is present or stale", f"none of {found['says']!r:.60}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise refused("a text", f"{value!r:.40}")
    return value


def _proofs(document: Mapping[str, Any], parts: Mapping[str, bytes]) -> dict[str, VerifiedBundle]:
    found = {}
    for log, name in PROOFS.items():
        if name not in parts:
            continue
        if log not in document["logs"]:
            raise refused(f"the key of the {log} log", "none")
        key = parse_verifier_key(document["logs"][log])
        found[log] = bundles.verify(bundles.parse(parts[name]), key)
    return found
