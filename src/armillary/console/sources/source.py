# SPDX-License-Identifier: Apache-2.0
"""What the console asks for: the answers of the public API, called in process.

Every method returns the JSON-able document that the API's view functions make of the same rows: UUIDs and digests
as strings (lower-case hex), times as integer Unix seconds. Every change names the operator, for the audit line.
``source_api.py`` is the one implementation; tests put a rehearsed fleet in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from armillary.identity.operator import Operator

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SignedIn(Operator):
    """An operator who signed in to the console.

    Attributes:
        token_id: Which token; asked for again at every request.
    """

    token_id: str


class DoorSource(Protocol):
    """Who may come in, and what for."""

    def sign_in(self, secret: str) -> SignedIn:
        """The operator behind a token. Raises UnauthenticatedError; PermissionDeniedError for one of one catalog."""

    def standing(self, operator: SignedIn) -> SignedIn | None:
        """The operator as its token stands now; None when the token was revoked or has ended."""

    def may_change(self, operator: Operator, area: str) -> bool:
        """Whether the role allows a change of ``area``.

        Areas: device, release, twin, update, finding, token, transfer, enrolment.
        """


class FleetSource(Protocol):
    """Devices and what the service recorded of them."""

    def summary(self) -> Document:
        """``devices``, ``health``, ``open_findings``."""

    def devices(self, wanted: Mapping[str, str], *, after: str | None, limit: int) -> Document:
        """``items`` and ``next``."""

    def groups(self) -> list[str]:
        """Names of all device groups, each once, sorted."""

    def device(self, device_id: str) -> Document:
        """One device. Raises NotFoundError."""

    def records(self, device_id: str, *, limit: int) -> Document:
        """``check_ins``, ``refusals``, ``outcomes``, ``error_reports``, ``findings``: newest first."""

    def software(self, device: Document) -> Document:
        """``images`` by id of what it has installed, ``releases`` of its chip, ``deployment`` (status and reason)."""

    def revoke(self, operator: Operator, device_id: str, reason: str) -> None:
        """Withdraw a device's identity."""

    def restore(self, operator: Operator, device_id: str) -> None:
        """Give a revoked device its identity back."""

    def release(self, operator: Operator, device_id: str) -> None:
        """Let a held device begin anew."""

    def decommission(self, operator: Operator, device_id: str, reason: str) -> None:
        """Take a device out of service."""

    def offer(self, operator: Operator, device: Document, to_catalog_id: str) -> None:
        """Offer a device of its catalog to another catalog."""


class HubSource(Protocol):
    """What devices say and are told."""

    def connected(self, device_id: str) -> bool | None:
        """Whether it is connected now; None where there is no hub."""

    def last_values(self, device_id: str) -> list[Document]:
        """``metric``, ``value``, ``at_ms`` for each metric."""

    def called(self, device_id: str) -> Callable[[str], Document]:
        """What a metric of a device is called: gives ``name``, ``display_name``, ``symbol`` of its unit, ``words``."""

    def series(self, device_id: str, metric: str, start_ms: int, end_ms: int, max_points: int) -> list[list[Any]]:
        """``[at_ms, value]`` pairs, oldest first."""

    def twin(self, device_id: str) -> Document:
        """``desired`` and ``reported``, each with ``$version``."""

    def patch_desired(self, operator: Operator, device_id: str, patch: Document) -> None:
        """Merge into the desired properties (null removes)."""

    def listen(self, device_id: str) -> AsyncGenerator[Document]:
        """New points as they come: ``metric``, ``value``, ``at_ms``."""


class UpdateSource(Protocol):
    """Roll-outs."""

    def rollouts(self, *, after: str | None, limit: int) -> Document:
        """``items`` and ``next``, newest first."""

    def rollout(self, rollout_id: str) -> Document:
        """One roll-out with ``cohorts`` and ``images``. Raises NotFoundError."""

    def troubles(self, rollout_id: str, *, limit: int) -> list[Document]:
        """Devices of a roll-out that failed."""

    def change(self, operator: Operator, rollout_id: str, verb: str, reason: str) -> None:
        """``halt``, ``resume`` or ``roll-back``."""


class WatchSource(Protocol):
    """Findings."""

    def findings(self, status: str, *, after: str | None, limit: int) -> Document:
        """``items`` and ``next``."""

    def move(self, operator: Operator, finding_id: str, status: str) -> None:
        """``acknowledged`` or ``closed``."""


class HouseSource(Protocol):
    """The audit log and what is set up."""

    def audit(self, *, after: str | None, limit: int) -> Document:
        """``items`` and ``next``, newest first."""

    def audit_verification(self) -> Document:
        """``lines``, ``head``, ``broken_at``."""

    def catalogs(self) -> list[Document]:
        """Each with ``groups``, ``certificates`` and ``attestation_policy``."""

    def catalog_names(self) -> list[Document]:
        """``catalog_id`` and ``name`` of each, by name."""

    def transfers(self, catalog: str, *, after: str | None, limit: int) -> Document:
        """``items`` and ``next``: offers from and to a catalog that can be accepted, newest first.

        Raises NotFoundError.
        """

    def answer_transfer(self, operator: Operator, catalog: str, transfer_id: str, verb: str) -> None:
        """``accept``, ``decline`` or ``cancel``, in the name of ``catalog``."""

    def enrolment_tokens(self, catalog: str) -> list[Document]:
        """A catalog's enrolment tokens, oldest first, without secrets. Raises NotFoundError."""

    def create_enrolment_token(self, operator: Operator, catalog: str, wish: Document) -> Document:
        """``token`` and its ``secret``, which is given once; ``wish`` is the body of the API's route."""

    def revoke_enrolment_token(self, operator: Operator, catalog: str, token_id: str) -> None:
        """Make an enrolment token useless."""

    def releases(self) -> list[Document]:
        """OS releases, newest first."""

    def tokens(self) -> list[Document]:
        """Operator tokens, without secrets."""

    def create_token(self, operator: Operator, name: str, role: str) -> Document:
        """``token`` and its ``secret``, which is given once."""

    def revoke_token(self, operator: Operator, token_id: str) -> None:
        """End a token and every session that it opened."""


class ApplicationSource(Protocol):
    """What an application's author makes: documents of every kind, and what dashboards show."""

    def documents(self, kind: str, *, after: str | None, limit: int) -> Document:
        """``items`` (id, version, etag, changed_ms, changed_by, body) and ``next``."""

    def document(self, kind: str, document_id: str) -> Document:
        """One document. Raises NotFoundError."""

    def check(self, kind: str, body: Document) -> None:
        """Raise InvalidArgumentError for a body that may not be kept."""

    def keep(self, operator: Operator, kind: str, document_id: str, body: Document, etag: str) -> Document:
        """Keep a document; ``etag`` is the version that was seen, "" where there must be none yet."""

    def drop(self, operator: Operator, kind: str, document_id: str, etag: str, *, force: bool = False) -> None:
        """Delete a document; with ``force`` a group or job that something uses, too. Raises ConflictError."""

    def tiles(self, body: Document, *, range_s: int | None, points: int) -> Document:
        """What every tile of a dashboard shows now: its data by the tile's id."""

    def tile_devices(self, body: Document, tile_id: str) -> list[Document]:
        """``device_id``, ``label`` and ``connected`` of a tile's devices."""

    def wanted(self, body: Document) -> Mapping[str, frozenset[str]]:
        """Device id -> names that the tiles show live."""

    def tile_labels(self, body: Document) -> Mapping[str, list[Document]]:
        """What the values of each tile are called, by the tile's id."""

    def live(self, wanted: Mapping[str, frozenset[str]], closing: asyncio.Event) -> AsyncGenerator[list[Document]]:
        """What came, once a second: ``device_id``, ``name``, ``at_ms``, ``value``."""

    def shed(self) -> None:
        """Count a reader of live values that was let go."""

    def labels(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        """What devices are called: their names, else their ids, shortened."""

    def ask(self, operator: Operator, question: str, **arguments: Any) -> Document:
        """The answer to a question, by its function's name in ``answers_*.py``, and its arguments; {} for none."""

    def call(self, operator: Operator, device_id: str, method: str, payload: Any) -> Document:
        """Call a direct method: ``status`` and ``payload``. Raises DeviceOfflineError, DeviceTimeoutError."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything the console asks."""

    door: DoorSource
    fleet: FleetSource
    hub: HubSource
    updates: UpdateSource
    watch: WatchSource
    house: HouseSource
    application: ApplicationSource
