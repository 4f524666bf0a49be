# SPDX-License-Identifier: Apache-2.0
"""What the console asks for: the answers of the public API, called in process.

Every method returns the JSON-able document that the API's view functions make of the same rows: UUIDs and digests
as strings (lower-case hex), times as integer Unix seconds. Sources are made for the operator who asks (:class:`Console`
of ``frame`` asks for new ones with each request): they show what that operator reaches, and changes bear the operator's
name in the audit log. ``source_api.py`` is the one implementation; tests put a rehearsed fleet in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from armillary.identity.operator import Operator

Document = dict[str, Any]

# Code of a refusal of what the operator's token is not for.
NOT_FOR_ONE: Final = "console.not-for-one"


@dataclass(frozen=True, slots=True)
class SignedIn(Operator):
    """An operator who signed in to the console.

    Attributes:
        token_id: Which token; asked for again at every request.
        catalog_name, organisation_name: What the catalog and organisation are called; None for all.
    """

    token_id: str
    catalog_name: str | None
    organisation_name: str | None

    @property
    def catalog_id(self) -> UUID | None:
        """The operator's catalog, as limits of callers count it (``api/http/callers.py``)."""
        return self.catalog

    @property
    def scope(self) -> str:
        """For whom the operator is signed in: ``Contoso``, ``Kitchens of Contoso``; empty for all catalogs."""
        return " of ".join(each for each in (self.organisation_name, self.catalog_name) if each)


class SignInSource(Protocol):
    """Who is let in."""

    def sign_in(self, secret: str) -> SignedIn:
        """The operator behind a token. Raises UnauthenticatedError."""

    def standing(self, operator: SignedIn) -> SignedIn | None:
        """The operator as its token is now; None when that has ended, or its catalog or organisation was deleted."""


class RightsSource(Protocol):
    """What the operator may do and see."""

    def may_change(self, area: str) -> bool:
        """Whether role and token allow a change of ``area`` (``source_api.ROUTES``)."""

    def may_ask(self, question: str) -> bool:
        """Whether the operator reaches what a method (``fleet.devices``) or a question of ``ask`` is about."""


class FleetSource(Protocol):
    """Devices and what the service recorded of them."""

    def summary(self) -> Document:
        """``devices``, ``health``, ``open_findings``."""

    def devices(self, wanted: Mapping[str, str], *, after: str | None, limit: int) -> Document:
        """``items`` and ``next``."""

    def of_organisation(self, *, after: str | None, limit: int) -> Document:
        """Devices of both kinds: ``items`` (id, ``device_name``, ``organisation_name``, ``health``), ``next``."""

    def groups(self) -> list[str]:
        """Names of all device groups, each once, sorted."""

    def device(self, device_id: str) -> Document:
        """One device. Raises NotFoundError."""

    def records(self, device_id: str, *, limit: int) -> Document:
        """``check_ins``, ``refusals``, ``outcomes``, ``error_reports``, ``findings``: newest first."""

    def software(self, device: Document) -> Document:
        """``images`` by id of what it has installed, ``releases`` of its chip, ``deployment`` (status and reason)."""

    def revoke(self, device_id: str, reason: str) -> None:
        """Withdraw a device's identity."""

    def restore(self, device_id: str) -> None:
        """Give a revoked device its identity back."""

    def release(self, device_id: str) -> None:
        """Let a held device begin anew."""

    def decommission(self, device_id: str, reason: str) -> None:
        """Take a device out of service."""

    def offer(self, device: Document, to_catalog_id: str) -> None:
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

    def patch_desired(self, device_id: str, patch: Document) -> None:
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

    def change(self, rollout_id: str, verb: str, reason: str) -> None:
        """``halt``, ``resume`` or ``roll-back``."""


class WatchSource(Protocol):
    """Findings."""

    def findings(self, status: str, *, after: str | None, limit: int) -> Document:
        """``items`` and ``next``."""

    def move(self, finding_id: str, status: str) -> None:
        """``acknowledged`` or ``closed``."""


class SettingsSource(Protocol):
    """The audit log and what is set up."""

    def audit_lines(self, *, after: str | None, limit: int) -> Document:
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

    def answer_transfer(self, catalog: str, transfer_id: str, verb: str) -> None:
        """``accept``, ``decline`` or ``cancel``, in the name of ``catalog``."""

    def enrolment_tokens(self, catalog: str) -> list[Document]:
        """A catalog's enrolment tokens, oldest first, without secrets. Raises NotFoundError."""

    def create_enrolment_token(self, catalog: str, wish: Document) -> Document:
        """``token`` and its ``secret``, which is given once; ``wish`` is the body of the API's route."""

    def revoke_enrolment_token(self, catalog: str, token_id: str) -> None:
        """Make an enrolment token useless."""

    def releases(self) -> list[Document]:
        """OS releases, newest first."""

    def tokens(self) -> list[Document]:
        """Operator tokens, without secrets."""

    def create_token(self, name: str, role: str) -> Document:
        """``token`` and its ``secret``, which is given once."""

    def revoke_token(self, token_id: str) -> None:
        """End a token and every session that it opened."""


class ApplicationSource(Protocol):
    """What an application's author makes: documents of every kind, and what dashboards show."""

    def documents(self, kind: str, *, after: str | None, limit: int) -> Document:
        """``items`` (id, version, etag, changed_ms, changed_by, body) and ``next``."""

    def document(self, kind: str, document_id: str) -> Document:
        """One document. Raises NotFoundError."""

    def check(self, kind: str, body: Document) -> None:
        """Raise InvalidArgumentError for a body that may not be kept."""

    def keep(self, kind: str, document_id: str, body: Document, etag: str) -> Document:
        """Keep a document; ``etag`` is the version that was seen, "" where there must be none yet."""

    def drop(self, kind: str, document_id: str, etag: str, *, force: bool = False) -> None:
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

    def ask(self, question: str, **arguments: Any) -> Document:
        """The answer to a question, by its function's name in ``answers_*.py``, and its arguments; {} for none."""

    def call(self, device_id: str, method: str, payload: Any) -> Document:
        """Call a direct method: ``status`` and ``payload``. Raises DeviceOfflineError, DeviceTimeoutError."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that one operator asks."""

    rights: RightsSource
    fleet: FleetSource
    hub: HubSource
    updates: UpdateSource
    watch: WatchSource
    settings: SettingsSource
    application: ApplicationSource


@dataclass(frozen=True, slots=True)
class SourcesFor:
    """Signing in, and the sources of whoever is signed in."""

    sign_in: SignInSource
    of: Callable[[SignedIn], Sources]
