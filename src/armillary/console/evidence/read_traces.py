# SPDX-License-Identifier: Apache-2.0
"""Traces, read: of a device, a key, an advisory; as pages, and as JSON with what proves them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, RedirectResponse, Response

from armillary.console.evidence import pages_traces
from armillary.console.frame.asking import ask, may, meant, show
from armillary.console.frame.console import Visit
from armillary.console.security import pages_advisories
from armillary.errors import InvalidArgumentError

_SERIAL: Final = re.compile(r"[0-9A-Fa-f]{1,40}", re.ASCII)
MAX_TYPED: Final = 128


def traces(visit: Visit) -> Response:
    """The page that asks; what is typed leads to the trace."""
    asked = {kind: visit.query.get(kind, "").strip()[:MAX_TYPED] for kind in pages_traces.KINDS}
    if asked["device"]:
        return RedirectResponse(pages_traces.place("device", meant(visit, asked["device"])), 303)
    if serial := asked["key"].replace(":", ""):
        if _SERIAL.fullmatch(serial) is None:
            raise InvalidArgumentError(
                f"key: expected a serial of at most 40 hexadecimal digits, got {serial[:40]!r}",
                remedy="The pages of keys and of certificates have serials.",
            )
        return RedirectResponse(pages_traces.place("key", serial), 303)
    if asked["advisory"]:
        return RedirectResponse(pages_advisories.place(asked["advisory"]), 303)
    return show(visit, pages_traces.search_sheet(asked))


def device_trace(visit: Visit) -> Response:
    """A device's life."""
    device_id = visit.params["device_id"]
    found = ask(visit, "trace_device", device_id=device_id)
    known = visit.sources.application.labels([found["device"]["device_id"]])
    name = next(iter(known.values()), device_id[:12])
    made = pages_traces.device_sheet(found, name, has_proof=has_proof(visit, found), now=visit.now)
    return show(visit, made)


def device_document(visit: Visit) -> Response:
    """A device's life, to be kept."""
    return kept(ask(visit, "trace_device", device_id=visit.params["device_id"]), "device-trace")


def device_proof(visit: Visit) -> Response:
    """The proof of the audit lines about a device."""
    return proof_of(visit, ask(visit, "trace_device", device_id=visit.params["device_id"]))


def key_trace(visit: Visit) -> Response:
    """A key's uses."""
    found = ask(visit, "trace_key", key_serial=visit.params["key_serial"])
    owners = {str(each["catalog_id"]): str(each["name"]) for each in visit.sources.settings.catalog_names()}
    catalog = owners.get(str(found["certificate"]["catalog_id"]), "")
    return show(visit, pages_traces.key_sheet(found, catalog, has_proof=has_proof(visit, found), now=visit.now))


def key_document(visit: Visit) -> Response:
    """A key's uses, to be kept."""
    return kept(ask(visit, "trace_key", key_serial=visit.params["key_serial"]), "key-trace")


def key_proof(visit: Visit) -> Response:
    """The proof of the audit lines about a key."""
    return proof_of(visit, ask(visit, "trace_key", key_serial=visit.params["key_serial"]))


def kept(found: dict[str, Any], name: str) -> Response:
    """An answer as a file."""
    return JSONResponse(found, headers={"Content-Disposition": f'attachment; filename="{name}.json"'})


def has_proof(visit: Visit, found: Mapping[str, Any]) -> bool:
    """Whether a trace has audit lines that can be proved to who asks."""
    return bool(found["audit"]) and may(visit, "prove_audit")


def proof_of(visit: Visit, found: Mapping[str, Any]) -> Response:
    """A proof bundle of a trace's audit lines, as ``armillary audit verify`` takes it."""
    bundle = ask(visit, "prove_audit", numbers=[each["number"] for each in found["audit"]])["bundle"]
    headers = {"Content-Disposition": 'attachment; filename="audit-proof.json"'}
    return Response(bundle, media_type="application/json", headers=headers)
