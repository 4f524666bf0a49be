# SPDX-License-Identifier: Apache-2.0
"""Native routes of the transparency logs: checkpoints, proofs, witnesses. They are of the whole service."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.documents import as_document
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, Limit, StrictBody
from armillary.errors import InvalidArgumentError
from armillary.wire.transparency.entry import LOGS

# Sizes and numbers that a JSON number is exact for (RFC 8259 §6); no log comes near.
MAX_SIZE: Final = (1 << 53) - 1

LogPath = Annotated[str, Path(description="A log", json_schema_extra={"enum": list(LOGS)})]
Size = Annotated[int, Query(ge=0, le=MAX_SIZE)]
Number = Annotated[int | None, Query(ge=1, le=MAX_SIZE)]
SizeFilter = Annotated[int | None, Query(ge=0, le=MAX_SIZE)]


class CosignatureBody(StrictBody):
    """A witness's cosignature.

    Attributes:
        size: Of the checkpoint that it is of.
        line: The signature line of its note.
    """

    size: Annotated[int, Field(ge=0, le=MAX_SIZE)]
    line: Annotated[str, Field(min_length=1, max_length=512)]


class WitnessBody(StrictBody):
    """A witness to hear.

    Attributes:
        verifier_key: NAME+ID+KEY, for cosignatures (C2SP tlog-cosignature).
    """

    verifier_key: Annotated[str, Field(min_length=1, max_length=256)]


class WitnessName(StrictBody):
    """A witness by its name, which may have slashes."""

    name: Annotated[str, Field(min_length=1, max_length=128)]


class ProofBody(StrictBody):
    """Entries to prove, which need not be neighbours.

    Attributes:
        numbers: Theirs; the bundle has them in their order, each once.
    """

    numbers: Annotated[list[Annotated[int, Field(ge=1, le=MAX_SIZE)]], Field(min_length=1, max_length=1000)]


def list_logs(request: Request) -> dict[str, Any]:
    """The logs: each with its verifier key, its entries, and how many of them its newest checkpoint covers."""
    return {"items": [as_document(each) for each in service_of(request).transparency.logs.standings()], "next": None}


def show_checkpoint(request: Request, log: LogPath, size: SizeFilter = None) -> dict[str, Any]:
    """The checkpoint of now, signed if the log has grown, or the one of a size: a signed note with cosignatures."""
    found = service_of(request).transparency.logs.checkpoint(log, size)
    return _checkpoint(found)


def show_entries(request: Request, log: LogPath, first: Number = None, limit: Limit = 100) -> dict[str, Any]:
    """Entries in their order, from number `first` on."""
    found = service_of(request).transparency.logs.entries(log, first or 1, limit)
    items = [as_document(each) for each in found]
    return {"items": items, "next": str(found[-1].number + 1) if len(found) == limit else None}


def show_consistency(
    request: Request, log: LogPath, earlier: Annotated[int, Query(ge=0, le=MAX_SIZE, alias="from")], to: Size
) -> dict[str, Any]:
    """The proof that the tree of `to` entries begins with that of `from` entries: hashes in hex (RFC 9162 §2.1.4)."""
    proof = service_of(request).transparency.logs.consistency(log, earlier, to)
    return {"from": earlier, "to": to, "proof": [each.hex() for each in proof]}


def show_proof(
    request: Request,
    log: LogPath,
    first: Number = None,
    last: Number = None,
    target: Annotated[str | None, Query(max_length=256, description="Entries about this, instead of a range")] = None,
    size: Annotated[int | None, Query(ge=0, le=MAX_SIZE, description="Against the checkpoint of this size")] = None,
    since: Annotated[int | None, Query(ge=0, le=MAX_SIZE, description="And that it continues this one")] = None,
) -> Response:
    """A proof bundle: entries, or the newest, with all that proves them, verified by `armillary audit verify`."""
    from armillary.wire.transparency.bundle import MAX_ENTRIES, encode  # noqa: PLC0415 - few services are asked

    logs = service_of(request).transparency.logs
    if target is not None and first is not None:
        raise InvalidArgumentError(
            "first, target: expected one of them", remedy="Name a range, or what entries are about."
        )
    if target is not None:
        numbers = logs.numbers_of(log, target)
    else:
        begin = first or last or logs.checkpoint(log, size).row.size
        end = begin if last is None else last
        if not begin <= end < begin + MAX_ENTRIES:
            raise InvalidArgumentError(
                f"last: expected {begin} to {begin + MAX_ENTRIES - 1}, got {end}", remedy="Ask for fewer entries."
            )
        numbers = tuple(range(begin, end + 1))
    made = logs.prove(log, numbers, size=size, since=since)
    return Response(encode(made), media_type="application/json")


def prove_entries(request: Request, log: LogPath, body: ProofBody) -> Response:
    """A proof bundle of just these entries, such as those that a trace rests on."""
    from armillary.wire.transparency.bundle import encode  # noqa: PLC0415 - as above

    made = service_of(request).transparency.logs.prove(log, tuple(sorted(set(body.numbers))))
    return Response(encode(made), media_type="application/json")


def add_cosignature(request: Request, log: LogPath, body: CosignatureBody) -> dict[str, Any]:
    """Keep a witness's cosignature of a checkpoint, once it is verified."""
    witnesses = service_of(request).transparency.witnesses
    return _checkpoint(witnesses.keep(log, body.size, body.line, actor=operator_of(request).name))


def list_witnesses(request: Request) -> dict[str, Any]:
    """The witnesses whose cosignatures are kept."""
    return {"items": [as_document(each) for each in service_of(request).transparency.witnesses.list()], "next": None}


def add_witness(request: Request, body: WitnessBody) -> dict[str, Any]:
    """Hear a witness from now on."""
    made = service_of(request).transparency.witnesses.add(body.verifier_key, actor=operator_of(request).name)
    found: dict[str, Any] = as_document(made)
    return found


def remove_witness(request: Request, body: WitnessName) -> dict[str, Any]:
    """Hear a witness no more; what it has cosigned stays."""
    service_of(request).transparency.witnesses.remove(body.name, actor=operator_of(request).name)
    return list_witnesses(request)


def _checkpoint(found: Any) -> dict[str, Any]:
    row = found.row
    return {
        "log": row.log,
        "size": row.size,
        "root": row.root.hex(),
        "made_at": row.made_at,
        "note": found.note,
        "cosigned_by": list(found.cosignatures),
    }


_row = partial(Route, tag="transparency")
_LOG = V1 + "/logs/{log}"
_WITNESSES = V1 + "/log-witnesses"
ROUTES = (
    _row("GET", V1 + "/logs", list_logs, READER),
    _row("GET", _LOG + "/checkpoint", show_checkpoint, READER),
    _row("GET", _LOG + "/entries", show_entries, READER),
    _row("GET", _LOG + "/consistency", show_consistency, READER),
    _row("GET", _LOG + "/proof", show_proof, READER),
    _row("POST", _LOG + "/proof", prove_entries, READER),
    _row("POST", _LOG + "/cosignatures", add_cosignature, CONTRIBUTOR),
    _row("GET", _WITNESSES, list_witnesses, READER),
    _row("POST", _WITNESSES, add_witness, ADMINISTRATOR, status=201),
    _row("POST", _WITNESSES + "/remove", remove_witness, ADMINISTRATOR),
)
