# SPDX-License-Identifier: Apache-2.0
"""What an unknown server with OPC UA shows of itself, and which variables it has. It reads and browses, and no more.

Endpoints are shown as they come, unverified: a person compares the certificate with what the machine itself shows.
Variables are looked for only in a session with the certificate that this person then names.

Source: OPC UA part 4 §5.4.4 (GetEndpoints), §5.8.2 (Browse).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from armillary.engines.equipment.foreign_errors import as_link_errors
from armillary.engines.equipment.opcua import plain_value, reason_of
from armillary.engines.equipment.opcua_channel import (
    POLICIES,
    OpcUaSession,
    checked_settings,
    leading,
    offered_endpoints,
    pinned_certificate,
)
from armillary.engines.equipment.opcua_identity import client_identity
from armillary.guard.discovery.drafting_values import ValueFound
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import OpcUa
from armillary.wire.equipment.profile_fields import NODE
from armillary.wire.equipment.reading import Value

NODES_MAX = 5000  # Looked at; a server's address space may have no end
CHILDREN_MAX = 500  # Of one node, by one request
BATCH = 20  # Values of one read: what any server takes
OBJECTS, HIERARCHY = (ua.NodeId(ua.Int32(each)) for each in (ObjectIds.ObjectsFolder, ObjectIds.HierarchicalReferences))
# How a profile writes what a server calls by these types; the other built-in types are no numbers
RAW = {
    "Boolean": "bool",
    "SByte": "i8",
    "Byte": "u8",
    "Int16": "i16",
    "UInt16": "u16",
    "Int32": "i32be",
    "UInt32": "u32be",
    "Int64": "f64be",
    "UInt64": "f64be",
    "Float": "f32be",
    "Double": "f64be",
}


@dataclass(frozen=True, slots=True)
class EndpointFound:
    """One way to speak to a server, as it says; nothing of it is verified."""

    policy: str
    mode: str
    sha256: str  # Of its certificate; empty without one
    subject: str
    ends: str  # ISO date
    usable: bool  # By a guardian


@dataclass(frozen=True, slots=True)
class VariableFound:
    """A variable of a server."""

    node: str
    name: str
    kind: str  # Built-in type
    value: Value | None
    status: str

    @property
    def drafted(self) -> ValueFound | None:
        """As a point of a draft; None where a profile cannot name or hold it."""
        if self.kind not in RAW or not re.fullmatch(NODE.pattern, self.node):
            return None
        held = "no good value" if self.value is None else f"held {self.value}"
        return ValueFound(f'node: "{self.node}"', RAW[self.kind], f"{self.name}, {held}")


async def endpoints(settings: OpcUa) -> list[EndpointFound]:
    """What a server offers.

    Raises:
        LinkError: nobody is there, or it is no server with OPC UA.
    """
    with as_link_errors(settings.url, reason_of):
        return [_endpoint(each) for each in await offered_endpoints(settings)]


def _endpoint(offered: ua.EndpointDescription) -> EndpointFound:
    der = leading(offered.ServerCertificate or b"")
    subject = ends = ""
    strong = False
    with suppress(ValueError):
        certificate = x509.load_der_x509_certificate(der)
        subject = certificate.subject.rfc4514_string()[:120]
        ends = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        key = certificate.public_key()
        strong = isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048
    policy = str(offered.SecurityPolicyUri).rpartition("#")[2][:40]
    encrypted = offered.SecurityMode == ua.MessageSecurityMode.SignAndEncrypt
    return EndpointFound(
        policy=policy,
        mode=getattr(offered.SecurityMode, "name", "") or str(offered.SecurityMode),
        sha256=sha256(der).hexdigest() if der else "",
        subject=subject,
        ends=ends,
        usable=encrypted and strong and policy in POLICIES,
    )


class _BrowsingSession(OpcUaSession):
    """A session that also looks at which nodes there are."""

    async def children(self, node: ua.NodeId) -> list[ua.ReferenceDescription]:
        """What is below a node; of more than ``CHILDREN_MAX`` the first."""
        description = ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=ua.BrowseDirection.Forward,
            ReferenceTypeId=HIERARCHY,
            IncludeSubtypes=True,
            NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable,
            ResultMask=ua.BrowseResultMask.All,
        )
        parameters = ua.BrowseParameters(RequestedMaxReferencesPerNode=CHILDREN_MAX, NodesToBrowse=[description])
        (result,) = await self._client.uaclient.browse(parameters)
        if result.ContinuationPoint:
            await self._client.uaclient.browse_next(
                ua.BrowseNextParameters(ReleaseContinuationPoints=True, ContinuationPoints=[result.ContinuationPoint])
            )
        return list(result.References or ()) if result.StatusCode.is_good() else []


async def variables(settings: OpcUa, folder: Path, requests_per_s: float) -> list[VariableFound]:
    """The variables below the server's objects, each with its value; those of the standard itself are left out.

    Args:
        settings: Of the link, with the certificate that the server must show.
        folder: Keeps the certificate by which we show ourselves.
        requests_per_s: Pace.

    Raises:
        LinkError: it is another server, does not let us in, or does not answer.
    """
    with as_link_errors(checked_settings(settings).url, reason_of):
        identity = client_identity(folder)
        server = await pinned_certificate(settings, time.time())
        session = await _BrowsingSession.open(settings, server, identity, time.monotonic())
        try:
            found = [each async for each in _variables(session, 1 / requests_per_s)]
            return [each async for each in _valued(session, found, 1 / requests_per_s)]
        finally:
            with suppress(LinkError, ua.uaerrors.UaError, OSError):
                await session.close()


async def _variables(session: _BrowsingSession, pause_s: float) -> AsyncIterator[tuple[str, str]]:
    """Node and name of each variable, breadth first; each node is looked at once."""
    waiting, seen = [OBJECTS], {OBJECTS.to_string()}
    while waiting and len(seen) < NODES_MAX:
        for each in await session.children(waiting.pop(0)):
            node = ua.NodeId(each.NodeId.Identifier, each.NodeId.NamespaceIndex, each.NodeId.NodeIdType)
            text = node.to_string()
            if text in seen or node.NamespaceIndex == 0:  # 0: what the standard defines, the server's own state
                continue
            seen.add(text)
            waiting.append(node)
            if each.NodeClass == ua.NodeClass.Variable:
                yield text, str(each.BrowseName.Name)
        await asyncio.sleep(pause_s)


async def _valued(
    session: _BrowsingSession, found: Sequence[tuple[str, str]], pause_s: float
) -> AsyncIterator[VariableFound]:
    for at in range(0, len(found), BATCH):
        batch = found[at : at + BATCH]
        results = await session.read([ua.NodeId.from_string(node) for node, _ in batch], time.monotonic())
        for (node, name), result in zip(batch, results, strict=True):
            variant = result.Value
            kind = getattr(variant.VariantType, "name", "") if variant is not None and not variant.is_array else "array"
            status = "Good" if result.StatusCode is None else result.StatusCode.name
            yield VariableFound(node, name, kind, plain_value(result), status)
        await asyncio.sleep(pause_s)
