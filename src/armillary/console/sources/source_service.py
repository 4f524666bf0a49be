# SPDX-License-Identifier: Apache-2.0
"""What pages ask of the security service and the hub: reads through ``api/views``, changes by operations.

Every method returns the JSON-able document that the API's view functions make of the same rows: UUIDs and digests as
strings (lower-case hex), times as integer Unix seconds. What it shows to one of a catalog is narrowed here, by the
catalog of the request's context; what such an operator names was checked before (``permissions.py``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from armillary.api.azure import names
from armillary.api.http.documents import as_document
from armillary.api.http.tenure import own_page, whole_hours_since
from armillary.api.views import findings as views_findings, hub as views_hub, policy as views_policy, service as views
from armillary.api.views.device_labels import with_names
from armillary.console.sources.permissions import may_ask
from armillary.console.sources.request_context import RequestContext, uuid_of
from armillary.console.sources.signed_in import Document
from armillary.engines.records.queries.audit import AuditFilter
from armillary.engines.records.schema.rows import Catalog, DeviceFilter
from armillary.errors import NotFoundError
from armillary.rollout.cohort import due_of
from armillary.rollout.tally import LEFT
from armillary.twin.template.value_names import as_fields


class ServiceFleet:
    """Devices."""

    def __init__(self, by: RequestContext) -> None:
        self._by, self._service = by, by.service

    def summary(self) -> Document:
        """The fleet in numbers: ``devices``, ``health``, ``open_findings``."""
        return views.fleet(self._service, catalog=self._by.catalog)

    def devices(self, wanted: Mapping[str, str], *, after: str | None, limit: int, order: str = "") -> Document:
        """A page of devices: ``items``, simulated ones with ``connected``, and ``next``.

        Raises:
            InvalidArgumentError: more match than are put in an ``order``.
        """
        chosen = DeviceFilter(
            catalog=self._by.catalog,
            product=wanted.get("product"),
            group=wanted.get("group"),
            health=wanted.get("health"),
            chip=wanted.get("chip"),
            search=wanted.get("search"),
            image_id=uuid_of("image", wanted["image"]) if "image" in wanted else None,
        )
        page = views.devices(self._service, chosen, limit=limit, after=after, order=order)
        connected = self._by.hub.connected()
        for item in page["items"]:
            if item["health"] == "simulated":  # it never checks in: how it is is whether the hub has it
                item["connected"] = item["device_id"] in connected
        return page

    def of_organisation(self, *, after: str | None, limit: int) -> Document:
        """A page of the devices of the operator's organisation, of both kinds."""
        organisation, operations = self._by.operator.organisation or "", self._by.platform.organisation_operations
        items, following = operations.devices(organisation, self._by.catalog, limit=limit, after=after)
        known = self._by.platform.organisations.all()
        items = [{**each, "organisation_name": known[each["organisation"]].name} for each in items]
        return with_names(self._service, {"items": items, "next": following}, self._by.operator.catalog)

    def device(self, device_id: str) -> Document:
        """One device. Raises NotFoundError."""
        return views.device(self._service, names.checked("device", device_id))

    def records(self, device_id: str, *, limit: int) -> Document:
        """``check_ins``, ``refusals``, ``outcomes`` with the images' ``name``, ``error_reports``, ``findings``.

        They are those of its present owner.
        """
        service, since_s = self._service, self._by.since_ms(device_id) / 1000
        sees_images = self._by.operator.organisation is None
        found = {
            "check_ins": (views.check_ins(service, device_id, limit=limit), "at"),
            "refusals": (views.refusals(service, device_id, limit=limit), "at"),
            "outcomes": (
                views.named_outcomes(service, device_id, limit=limit, sees_images=sees_images),
                "received_at",
            ),
            "error_reports": (views.error_reports(service, device_id=device_id, limit=limit), "received_at"),
        }
        findings: list[Document] = []
        if may_ask(self._by.operator, "watch.findings"):
            chosen = {"device_id": device_id, "catalog": self._by.catalog, "status": "open"}
            findings = views.findings(service, limit=limit, **chosen)["items"]
        return {"findings": findings} | {
            name: own_page(page, since_s, at)["items"] for name, (page, at) in found.items()
        }

    def software(self, device: Document) -> Document:
        """``images`` by id, ``releases`` of its chip and its ``deployment``, as far as the operator sees them."""
        images: dict[str, Document] = {}
        if device["catalog"] and self._by.operator.organisation is None:
            # One that was sideloaded in development, or deleted since, is left out: the page says that it is not known.
            ids = {UUID(item["image_id"]) for item in device["installed"]}
            found = self._service.updates.images.some(self._by.catalog or device["catalog"], ids)
            images = {str(image_id): as_document(row) for image_id, row in found.items()}
        sees_releases = may_ask(self._by.operator, "list_releases")
        return {
            "images": images,
            "releases": views.releases(self._service, chip=device["chip"])["items"] if sees_releases else [],
            "deployment": views.device_deployment(self._service, device["device_id"]),
        }

    def revoke(self, device_id: str, reason: str) -> None:
        """Withdraw a device's identity."""
        self._service.registry.lifecycle.revoke(device_id, reason=reason, actor=self._by.operator.name)

    def restore(self, device_id: str) -> None:
        """Give a revoked device its identity back."""
        self._service.registry.lifecycle.restore(device_id, actor=self._by.operator.name)

    def release(self, device_id: str) -> None:
        """Let a held device begin anew."""
        self._service.registry.lifecycle.release(device_id, actor=self._by.operator.name)

    def quarantine(self, device_id: str, reason: str) -> None:
        """Let a device check in and update, and nothing else, until it is released."""
        self._service.registry.quarantine.put(device_id, reason=reason, actor=self._by.operator.name, lifetime_s=None)

    def decommission(self, device_id: str, reason: str) -> None:
        """Take a device out of service."""
        self._service.registry.lifecycle.decommission(device_id, reason=reason, actor=self._by.operator.name)

    def offer(self, device: Document, to_catalog_id: str) -> None:
        """Offer a device of its catalog to another catalog."""
        taker = uuid_of("catalog", to_catalog_id)
        self._service.registry.transfers.offer(
            device["catalog"] or "", device["device_id"], taker, actor=self._by.operator.name
        )


class ServiceHub:
    """Telemetry and twins."""

    def __init__(self, by: RequestContext) -> None:
        self._by, self._hub, self._platform = by, by.hub, by.platform

    def connected(self, device_id: str) -> bool | None:
        """Whether the device is connected now."""
        return bool(views_hub.connection(self._hub, device_id)["connected"])

    def last_values(self, device_id: str) -> list[Document]:
        """``metric``, ``value``, ``at_ms`` for each metric."""
        items: list[Document] = views_hub.telemetry(self._hub, self._platform, device_id, self._by.since_ms(device_id))[
            "items"
        ]
        return items

    def called(self, device_id: str) -> Callable[[str], Document]:
        """What a metric of a device is called: gives ``name``, ``display_name``, ``symbol`` of its unit, ``words``."""
        naming = self._platform.naming.of_devices((device_id,))
        return lambda metric: as_fields(naming.of(metric))

    def series(self, device_id: str, metric: str, start_ms: int, end_ms: int, max_points: int) -> list[list[Any]]:
        """``[at_ms, value]`` pairs of one metric, oldest first: the means of the API's buckets."""
        begin_ms = max(start_ms, whole_hours_since(self._by.since_ms(device_id)))
        if begin_ms >= end_ms:  # of another owner's time, all of it
            return []
        found = views_hub.series(self._hub, device_id, metric, start_ms=begin_ms, end_ms=end_ms, max_points=max_points)
        return [[start, mean] for start, _count, _low, _high, mean in found["points"]]

    def twin(self, device_id: str) -> Document:
        """``desired`` and ``reported``, each with ``$version``."""
        properties: Document = views_hub.twin(self._hub, device_id)["properties"]
        return properties

    async def listen(self, device_id: str) -> AsyncGenerator[Document]:
        """New points as they come: ``metric``, ``value``, ``at_ms``."""
        async with self._hub.live.listen(device_id) as listener:
            async for values in listener:
                for metric, value in values.values.items():
                    yield {"metric": metric, "value": value, "at_ms": values.at_ms}


class ServiceUpdates:
    """Roll-outs, and the device groups that they are for."""

    def __init__(self, by: RequestContext) -> None:
        self._by, self._service = by, by.service

    def groups(self) -> list[str]:
        """Names of all device groups, each once, sorted."""
        groups = self._service.registry.groups
        return sorted({group.name for row in _catalogs(self._by) for group in groups.list(row.name)})

    def rollouts(self, *, after: str | None, limit: int, state: str | None = None, rising: bool = False) -> Document:
        """A page of roll-outs, newest first, or with ``rising`` oldest first; only those in a ``state``."""
        page = views.rollouts(
            self._service, catalog=self._by.catalog, state=state, limit=limit, after=after, rising=rising
        )
        for item in page["items"]:
            item["images"] = self._images(item)
        return page

    def rollout(self, rollout_id: str) -> Document:
        """One roll-out with ``cohorts`` and ``images``. Raises NotFoundError."""
        document = self._one(rollout_id)
        document["images"] = self._images(document)
        document["cohorts"] = cohorts(document)
        for event in document["history"]:
            event["finding_status"] = self._status(event["finding_id"])
        return document

    def troubles(self, rollout_id: str, *, limit: int) -> list[Document]:
        """Devices of a roll-out that failed."""
        number = UUID(self._one(rollout_id)["rollout_id"])
        items: list[Document] = views.rollout_devices(self._service, number, failed=True, limit=limit)["items"]
        return items

    def change(self, rollout_id: str, verb: str, reason: str) -> None:
        """``approve``, ``halt``, ``resume`` or ``roll-back``."""
        rollouts, number = self._service.updates.rollouts, UUID(self._one(rollout_id)["rollout_id"])
        if verb == "halt":
            rollouts.hold(number, reason=reason, actor=self._by.operator.name)
        elif verb == "resume":
            rollouts.resume(number, actor=self._by.operator.name)
        elif verb == "approve":
            rollouts.approve(number, actor=self._by.operator.name)
        else:
            rollouts.roll_back(number, reason=reason, actor=self._by.operator.name, catalog=self._by.catalog)

    def _one(self, rollout_id: str) -> Document:
        return views.rollout(self._service, uuid_of("roll-out", rollout_id), catalog=self._by.catalog)

    def _status(self, finding_id: str | None) -> str:
        try:
            return "" if finding_id is None else self._service.watch.get(UUID(finding_id)).status
        except NotFoundError:
            return ""

    def _images(self, rollout: Document) -> list[Document]:
        if rollout["deployment_id"] is None:
            return []
        try:
            row = self._service.updates.deployments.get(rollout["catalog"], UUID(rollout["deployment_id"]))
        except NotFoundError:
            return []
        images: list[Document] = as_document(row.images)
        return images


def cohorts(rollout: Document) -> list[Document]:
    """Counts per cohort: where its started devices stand, and how many of its share have not begun.

    How many devices the groups of a ring have is not known here before the ring begins.
    """
    policy = rollout["policy"]
    percents = tuple(policy["cohorts"])
    rings = [(ring["name"], len(ring["devices"])) for ring in policy["rings"]]
    whole = sum(count for state, count in rollout["counts"].items() if state != LEFT)
    reached = whole - rollout["counts"].get("waiting", 0)
    made = [dict(cohort) for cohort in rollout["cohorts"]]
    if made and rollout["due"]:
        reached += rollout["due"]
        made[-1]["counts"] = {**made[-1]["counts"], "waiting": rollout["due"]}
    for index in range(len(made), len(rings) + len(percents)):
        step = index - len(rings)
        name, waiting = rings[index] if step < 0 else (f"to {percents[step]}%", 0)
        if step >= 0:
            waiting = due_of(percents, step, whole, reached)
        reached += waiting
        made.append({"name": name, "counts": {"waiting": waiting} if waiting else {}, "failed": 0})
    return made


class ServiceWatch:
    """Findings."""

    def __init__(self, by: RequestContext) -> None:
        self._by, self._service = by, by.service

    def findings(
        self,
        status: str,
        *,
        severity: str | None = None,
        kind: str | None = None,
        catalog: str | None = None,
        naming: str | None = None,
        after: str | None,
        limit: int,
    ) -> Document:
        """A page of findings; ``naming`` is the id of a device that they name."""
        only = self._by.catalog or catalog
        chosen = {"status": status, "severity": severity, "kind": kind, "catalog": only, "device_id": naming}
        return views.findings(self._service, limit=limit, after=after, **chosen)

    def finding(self, finding_id: str) -> Document:
        """One finding. Raises NotFoundError."""
        return views.finding(self._service, uuid_of("finding", finding_id), catalog=self._by.catalog)

    def kinds(self, status: str, *, severity: str | None = None, catalog: str | None = None) -> Document:
        """How many findings of each kind there are, by severity."""
        only = self._by.catalog or catalog
        return views_findings.kinds(self._service, status=status, severity=severity, catalog=only)

    def acknowledge_kind(
        self, kind: str, *, up_to: int, severity: str | None = None, catalog: str | None = None
    ) -> Document:
        """Acknowledge the open findings of a kind, up to the newest that was counted."""
        only, actor = self._by.catalog or catalog, self._by.operator.name
        return views_findings.acknowledge(
            self._service, kind, up_to=up_to, severity=severity, catalog=only, actor=actor
        )

    def move(self, finding_id: str, status: str) -> None:
        """``acknowledged`` or ``closed``."""
        number = uuid_of("finding", finding_id)
        views.finding(self._service, number, catalog=self._by.catalog)
        if status == "acknowledged":
            self._service.watch.acknowledge(number, actor=self._by.operator.name)
        else:
            self._service.watch.close(number, actor=self._by.operator.name)


class ServiceSettings:
    """Audit log, catalogs, tokens."""

    def __init__(self, by: RequestContext) -> None:
        self._by, self._service = by, by.service

    def audit_lines(self, *, after: str | None, limit: int, rising: bool = False, **wanted: Any) -> Document:
        """A page of audit lines, newest first unless ``rising``; ``wanted`` are fields of ``AuditFilter``."""
        return views.audit(self._service, limit=limit, after=after, wanted=AuditFilter(**wanted), rising=rising)

    def audit_verification(self) -> Document:
        """The walk over the whole chain: ``lines``, ``head``, ``broken_at``."""
        return views.audit_verification(self._service)

    def catalogs(self) -> list[Document]:
        """Catalogs, each with ``groups``, ``certificates`` and ``attestation_policy``."""
        registry, authority = self._service.registry, self._service.authority
        return [
            {
                **as_document(catalog),
                "groups": [as_document(group) for group in registry.groups.list(catalog.name)],
                "certificates": [as_document(row) for row in authority.catalogs.list(catalog.name)],
                "attestation_policy": views_policy.policy(self._service, catalog.name),
            }
            for catalog in _catalogs(self._by)
        ]

    def catalog_names(self) -> list[Document]:
        """``catalog_id`` and ``name`` of each catalog, by name."""
        return [{"catalog_id": str(row.catalog_id), "name": row.name} for row in _catalogs(self._by)]

    def transfers(self, catalog: str, *, after: str | None, limit: int) -> Document:
        """A page of offers from and to a catalog that can be accepted, newest first. Raises NotFoundError."""
        page: Document = views.transfers(self._service, catalog, pending=True, limit=limit, after=after)
        return page

    def answer_transfer(self, catalog: str, transfer_id: str, verb: str) -> None:
        """``accept``, ``decline`` or ``cancel``, in the name of ``catalog``."""
        transfers = self._service.registry.transfers
        answer = {"accept": transfers.accept, "decline": transfers.decline, "cancel": transfers.cancel}[verb]
        answer(catalog, uuid_of("transfer", transfer_id), actor=self._by.operator.name)

    def enrolment_tokens(self, catalog: str) -> list[Document]:
        """A catalog's enrolment tokens, oldest first, without secrets. Raises NotFoundError."""
        items: list[Document] = views.enrolment_tokens(self._service, catalog)["items"]
        return items

    def create_enrolment_token(self, catalog: str, wish: Document) -> Document:
        """``token`` and its ``secret``, given once; ``wish`` is the body of the API's route."""
        made = self._service.enrolments.create(catalog, actor=self._by.operator.name, **wish)
        return {"token": as_document(made.token), "secret": made.secret}

    def revoke_enrolment_token(self, catalog: str, token_id: str) -> None:
        """Make an enrolment token useless."""
        self._service.enrolments.revoke(catalog, uuid_of("enrolment token", token_id), actor=self._by.operator.name)

    def tokens(self) -> list[Document]:
        """Operator tokens, without secrets."""
        items: list[Document] = views.tokens(self._service)["items"]
        return items

    def create_token(self, name: str, role: str) -> Document:
        """A new token and its ``secret``, which is given once."""
        made = self._service.tokens.create(name, role, actor=self._by.operator.name)
        return {"token": as_document(made.token), "secret": made.secret}

    def revoke_token(self, token_id: str) -> None:
        """End a token and every session that it opened."""
        self._service.tokens.revoke(uuid_of("token", token_id), actor=self._by.operator.name)


def _catalogs(by: RequestContext) -> Sequence[Catalog]:
    """Catalogs that the operator speaks for, by name."""
    catalogs, only = by.service.registry.catalogs, by.operator.catalog
    return catalogs.list() if only is None else (catalogs.get_by_id(only),)
