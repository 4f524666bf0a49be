# SPDX-License-Identifier: Apache-2.0
"""The certificate store. No call gives a private key back."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from cryptography import x509

from armillary.device.rest.call import Body, Call, Need, Route
from armillary.device.state.certificate_store import CertificateStore, read_certificate

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


async def identifiers(call: Call) -> object:
    """The ids of all certificates."""
    return {"identifiers": list(_store(call).identifiers)}


async def space(call: Call) -> object:
    """Bytes that are left, as a text: so does Azure Sphere."""
    return {"AvailableSpace": str(_store(call).available_bytes)}


async def one(call: Call) -> object:
    """What a certificate says."""
    found = _store(call).get(call.name).certificate
    return {
        "id": call.name,
        "notBefore": _time(found.not_valid_before_utc),
        "notAfter": _time(found.not_valid_after_utc),
        "subjectName": _name(found.subject),
        "issuerName": _name(found.issuer),
    }


async def add(call: Call) -> object:
    """Keep a certificate; an earlier one of the same id is replaced."""
    kind, public = call.value("certType", str, default=""), call.value("publicCert", str, default="")
    key, password = call.value("privateKey", str), call.value("password", str)
    store = _store(call)
    store.check_id(call.name)
    found = await asyncio.to_thread(read_certificate, kind, public, key, password)
    store.add(call.name, found)
    return {}


async def remove(call: Call) -> object:
    """Forget a certificate."""
    _store(call).remove(call.name)
    return {}


ROUTES: Final = (
    Route(method="GET", path="certstore/certs", answer=identifiers, needs=Need.OPEN),
    Route(method="GET", path="certstore/space", answer=space, needs=Need.OPEN),
    Route(method="GET", path="certstore/certs/{}", answer=one, needs=Need.OPEN),
    Route(method="POST", path="certstore/certs/{}", answer=add, needs=Need.OPEN, body=Body.JSON),
    Route(method="DELETE", path="certstore/certs/{}", answer=remove, needs=Need.OPEN),
)


def _store(call: Call) -> CertificateStore:
    return CertificateStore(call.device.flash)


def _time(moment: datetime) -> str:
    return moment.strftime(_TIME)


def _name(name: x509.Name) -> str:
    """As OpenSSL has written names on one line since its beginning: ``/O=Contoso/CN=device``."""
    return "".join(f"/{part.rfc4514_attribute_name}={part.value!s}" for part in name)
