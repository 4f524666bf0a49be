# SPDX-License-Identifier: Apache-2.0
"""The console's sources over the running service: reads through ``api/views``, changes by operations.

What a role may do is asked of the API's own rows (``api/http/route.py``): a button and a route can not disagree.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.api.app import SHAPES
from armillary.api.azure import names
from armillary.api.http.documents import as_document
from armillary.api.http.route import allows
from armillary.api.native.parameters import V1
from armillary.api.views import hub as views_hub, policy as views_policy, service as views
from armillary.console.sources.source import Document, SignedIn, Sources
from armillary.console.sources.source_application import ServiceApplication
from armillary.engines.records.schema.rows import DeviceFilter, Token
from armillary.errors import NotFoundError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.rollout.cohort import size_after
from armillary.twin.template.value_names import as_fields

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

# area of a page's action -> the route that does the same.
ROUTES: Mapping[str, str] = MappingProxyType(
    {
        "device": f"POST {V1}/devices/{{device_id}}/revoke",
        "device-name": f"PUT {V1}/devices/{{device_id}}/name",
        "release": f"POST {V1}/devices/{{device_id}}/release",
        "decommission": f"POST {V1}/devices/{{device_id}}/decommission",
        "offer": f"POST {V1}/catalogs/{{catalog}}/transfers",
        "twin": f"PATCH {V1}/devices/{{device_id}}/twin",
        "update": f"POST {V1}/rollouts/{{rollout_id}}/halt",
        "finding": f"POST {V1}/findings/{{finding_id}}/close",
        "transfer": f"POST {V1}/catalogs/{{catalog}}/transfers/{{transfer_id}}/accept",
        "enrolment": f"POST {V1}/catalogs/{{catalog}}/enrolment-tokens",
        "token": f"POST {V1}/tokens",
        "dashboard": f"PUT {V1}/dashboards/{{dashboard_id}}",
        "export": f"PUT {V1}/exports/{{export_id}}",
        "job": f"PUT {V1}/jobs/{{job_id}}",
        "rule": f"PUT {V1}/rules/{{rule_id}}",
        "alert": f"POST {V1}/alerts/{{number}}/acknowledge",
        "template": f"PUT {V1}/templates/{{template_name}}",
        "group": f"PUT {V1}/groups/{{group_id}}",
        "command": f"POST {V1}/devices/{{device_id}}/methods/{{method}}",
        "cloud-properties": f"PATCH {V1}/devices/{{device_id}}/cloud-properties",
        "device-template": f"PUT {V1}/devices/{{device_id}}/template",
        "hub-device": f"POST {V1}/catalogs/{{catalog}}/hub-devices",
        "admission": f"PATCH {V1}/catalogs/{{catalog}}/hub-admission",
        "hub-enrolment": f"PATCH {V1}/catalogs/{{catalog}}/hub-enrolments/{{enrolment_id}}",
        "service-key": f"GET {V1}/catalogs/{{catalog}}/hub-service-keys",
    }
)
# Rows of a roll-out that are counted into cohorts, a thousand a query; a larger one shows its cohorts without parts.
MAX_COHORT_ROWS = 20_000
PAGE_ROWS = 1000


def sources_of(service: SecurityService, hub: Hub, platform: Platform) -> Sources:
    """Everything the console asks, of this service and hub."""
    return Sources(
        door=ServiceDoor(service),
        fleet=ServiceFleet(service),
        hub=ServiceHub(service, hub, platform),
        updates=ServiceUpdates(service),
        watch=ServiceWatch(service),
        house=ServiceHouse(service),
        application=ServiceApplication(service, hub, platform),
    )


class ServiceDoor:
    """Tokens."""

    def __init__(self, service: SecurityService) -> None:
        self._service = service

    def sign_in(self, secret: str) -> SignedIn:
        """The operator behind a token; PermissionDeniedError where it is one of one catalog."""
        token = self._service.tokens.authenticate(secret, takes_restricted=True)
        if token.catalog_id is not None:
            raise PermissionDeniedError(
                "this token is valid, but for one catalog, and the console shows all of them",
                remedy="Sign in with a token for all catalogs; this one works on the command line and in the API.",
            )
        return _operator(token)

    def standing(self, operator: SignedIn) -> SignedIn | None:
        """The operator as the token stands now."""
        now = self._service.context.now()
        for token in self._service.tokens.list():
            if str(token.token_id) == operator.token_id:
                ended = token.expires_at is not None and token.expires_at <= now
                return None if token.revoked_at is not None or ended else _operator(token)
        return None

    def may_change(self, operator: Operator, area: str) -> bool:
        """Whether the role reaches what the API's route for the same asks for."""
        return allows(operator.role, SHAPES.routes[ROUTES[area]].role)


class ServiceFleet:
    """Devices."""

    def __init__(self, service: SecurityService) -> None:
        self._service = service

    def summary(self) -> Document:
        """The fleet in numbers."""
        return views.fleet(self._service)

    def devices(self, wanted: Mapping[str, str], *, after: str | None, limit: int) -> Document:
        """A page of devices."""
        chosen = DeviceFilter(
            product=wanted.get("product"),
            group=wanted.get("group"),
            health=wanted.get("health"),
            chip=wanted.get("chip"),
            search=wanted.get("search"),
        )
        return views.devices(self._service, chosen, limit=limit, after=after)

    def groups(self) -> list[str]:
        """Names of all device groups."""
        registry = self._service.registry
        return sorted({group.name for row in registry.catalogs.list() for group in registry.groups.list(row.name)})

    def device(self, device_id: str) -> Document:
        """One device."""
        return views.device(self._service, names.checked("device", device_id))

    def records(self, device_id: str, *, limit: int) -> Document:
        """What was recorded of a device."""
        service = self._service
        return {
            "check_ins": views.check_ins(service, device_id, limit=limit)["items"],
            "refusals": views.refusals(service, device_id, limit=limit)["items"],
            "outcomes": views.outcomes(service, device_id, limit=limit)["items"],
            "error_reports": views.error_reports(service, device_id=device_id, limit=limit)["items"],
            "findings": views.findings(service, device_id=device_id, status="open", limit=limit)["items"],
        }

    def software(self, device: Document) -> Document:
        """What the catalog and the releases know of what a device runs."""
        images: dict[str, Document] = {}
        for item in device["installed"] if device["catalog"] else ():
            try:
                row = self._service.updates.images.get(device["catalog"], UUID(item["image_id"]))
            except NotFoundError:
                continue  # sideloaded in development, or deleted since: the page says that it is not known
            images[item["image_id"]] = as_document(row)
        return {
            "images": images,
            "releases": views.releases(self._service, chip=device["chip"])["items"],
            "deployment": views.device_deployment(self._service, device["device_id"]),
        }

    def revoke(self, operator: Operator, device_id: str, reason: str) -> None:
        """Withdraw a device's identity."""
        self._service.registry.lifecycle.revoke(device_id, reason=reason, actor=operator.name)

    def restore(self, operator: Operator, device_id: str) -> None:
        """Let a revoked device in again."""
        self._service.registry.lifecycle.restore(device_id, actor=operator.name)

    def release(self, operator: Operator, device_id: str) -> None:
        """Let a held device begin anew."""
        self._service.registry.lifecycle.release(device_id, actor=operator.name)

    def decommission(self, operator: Operator, device_id: str, reason: str) -> None:
        """Take a device out of service."""
        self._service.registry.lifecycle.decommission(device_id, reason=reason, actor=operator.name)

    def offer(self, operator: Operator, device: Document, to_catalog_id: str) -> None:
        """Offer a device to another catalog."""
        taker = _uuid("catalog", to_catalog_id)
        self._service.registry.transfers.offer(device["catalog"] or "", device["device_id"], taker, actor=operator.name)


class ServiceHub:
    """Telemetry and twins."""

    def __init__(self, service: SecurityService, hub: Hub, platform: Platform) -> None:
        self._service = service
        self._hub = hub
        self._platform = platform

    def connected(self, device_id: str) -> bool | None:
        """Whether the device is connected now."""
        return bool(views_hub.connection(self._hub, device_id)["connected"])

    def last_values(self, device_id: str) -> list[Document]:
        """The last value of each metric."""
        items: list[Document] = views_hub.telemetry(self._hub, self._platform, device_id)["items"]
        return items

    def called(self, device_id: str) -> Callable[[str], Document]:
        """What a metric is called."""
        naming = self._platform.naming.of_devices((device_id,))
        return lambda metric: as_fields(naming.of(metric))

    def series(self, device_id: str, metric: str, start_ms: int, end_ms: int, max_points: int) -> list[list[Any]]:
        """Points of one metric: the means of the API's buckets."""
        found = views_hub.series(self._hub, device_id, metric, start_ms=start_ms, end_ms=end_ms, max_points=max_points)
        return [[start, mean] for start, _count, _low, _high, mean in found["points"]]

    def twin(self, device_id: str) -> Document:
        """Desired and reported properties."""
        properties: Document = views_hub.twin(self._hub, device_id)["properties"]
        return properties

    def patch_desired(self, operator: Operator, device_id: str, patch: Document) -> None:
        """Merge into the desired properties."""
        detail = {"section": "desired"}
        self._hub.operations.change_twin(operator, device_id, desired=patch, detail=detail)

    async def listen(self, device_id: str) -> AsyncGenerator[Document]:
        """New values, one metric at a time."""
        async with self._hub.live.listen(device_id) as listener:
            async for values in listener:
                for metric, value in values.values.items():
                    yield {"metric": metric, "value": value, "at_ms": values.at_ms}


class ServiceUpdates:
    """Roll-outs."""

    def __init__(self, service: SecurityService) -> None:
        self._service = service

    def rollouts(self, *, after: str | None, limit: int) -> Document:
        """A page of roll-outs, newest first."""
        page = views.rollouts(self._service, limit=limit, after=after)
        for item in page["items"]:
            item["images"] = self._images(item)
        return page

    def rollout(self, rollout_id: str) -> Document:
        """One roll-out with its cohorts and images."""
        document = views.rollout(self._service, _uuid("roll-out", rollout_id))
        document["images"] = self._images(document)
        rows = self._rows(document["rollout_id"], MAX_COHORT_ROWS)
        document["cohorts"] = cohorts(document, rows) if rows is not None else []
        for told in document["history"]:
            told["finding_status"] = self._status(told["finding_id"])
        return document

    def troubles(self, rollout_id: str, *, limit: int) -> list[Document]:
        """Devices that failed."""
        found: list[Document] = []
        after: str | None = None
        for _ in range(MAX_COHORT_ROWS // PAGE_ROWS):
            page = views.rollout_devices(self._service, UUID(rollout_id), limit=PAGE_ROWS, after=after)
            found += [item for item in page["items"] if item["failure"]]
            after = page["next"]
            if after is None or len(found) >= limit:
                break
        return found[:limit]

    def change(self, operator: Operator, rollout_id: str, verb: str, reason: str) -> None:
        """``halt``, ``resume`` or ``roll-back``."""
        rollouts, number = self._service.updates.rollouts, UUID(rollout_id)
        if verb == "halt":
            rollouts.hold(number, reason=reason, actor=operator.name)
        elif verb == "resume":
            rollouts.resume(number, actor=operator.name)
        else:
            rollouts.roll_back(number, reason=reason, actor=operator.name)

    def _status(self, finding_id: str | None) -> str:
        try:
            return "" if finding_id is None else self._service.watch.get(UUID(finding_id)).status
        except NotFoundError:
            return ""

    def _images(self, rollout: Document) -> list[Document]:
        try:
            row = self._service.updates.deployments.get(rollout["catalog"], UUID(rollout["deployment_id"]))
        except NotFoundError:
            return []
        images: list[Document] = as_document(row.images)
        return images

    def _rows(self, rollout_id: str, most: int) -> list[Document] | None:
        rows: list[Document] = []
        after: str | None = None
        while True:
            page = views.rollout_devices(self._service, UUID(rollout_id), limit=PAGE_ROWS, after=after)
            rows += page["items"]
            after = page["next"]
            if after is None:
                return rows
            if len(rows) >= most:
                return None


def cohorts(rollout: Document, rows: list[Document]) -> list[Document]:
    """Counts per cohort: where its started devices stand, and how many of its share have not begun."""
    percents = tuple(rollout["policy"]["cohorts"])
    whole = sum(rollout["counts"].values())
    made = []
    before = 0
    for index, percent in enumerate(percents):
        counts: dict[str, int] = {}
        failed = 0
        for row in rows:
            if row["cohort"] == index:
                counts[row["state"]] = counts.get(row["state"], 0) + 1
                failed += bool(row["failure"])
        reach = size_after(percents, index, whole)
        waiting = reach - before - sum(counts.values())
        if waiting > 0 and index > rollout["cohort"]:
            counts["waiting"] = waiting
        before = reach
        made.append({"percent": percent, "counts": counts, "failed": failed})
    return made


class ServiceWatch:
    """Findings."""

    def __init__(self, service: SecurityService) -> None:
        self._service = service

    def findings(self, status: str, *, after: str | None, limit: int) -> Document:
        """A page of findings."""
        return views.findings(self._service, status=status, limit=limit, after=after)

    def move(self, operator: Operator, finding_id: str, status: str) -> None:
        """``acknowledged`` or ``closed``."""
        number = _uuid("finding", finding_id)
        if status == "acknowledged":
            self._service.watch.acknowledge(number, actor=operator.name)
        else:
            self._service.watch.close(number, actor=operator.name)


class ServiceHouse:
    """Audit log, catalogs, releases, tokens."""

    def __init__(self, service: SecurityService) -> None:
        self._service = service

    def audit(self, *, after: str | None, limit: int) -> Document:
        """A page of audit lines."""
        return views.audit(self._service, limit=limit, after=after)

    def audit_verification(self) -> Document:
        """The walk over the whole chain."""
        return views.audit_verification(self._service)

    def catalogs(self) -> list[Document]:
        """Catalogs with their groups and certificates."""
        registry, authority = self._service.registry, self._service.authority
        return [
            {
                **as_document(catalog),
                "groups": [as_document(group) for group in registry.groups.list(catalog.name)],
                "certificates": [as_document(row) for row in authority.catalogs.list(catalog.name)],
                "attestation_policy": views_policy.policy(self._service, catalog.name),
            }
            for catalog in registry.catalogs.list()
        ]

    def catalog_names(self) -> list[Document]:
        """Ids and names of catalogs."""
        rows = self._service.registry.catalogs.list()
        return sorted(
            ({"catalog_id": str(row.catalog_id), "name": row.name} for row in rows),
            key=lambda each: str(each["name"]),
        )

    def transfers(self, catalog: str, *, after: str | None, limit: int) -> Document:
        """Offers that wait."""
        page: Document = views.transfers(self._service, catalog, pending=True, limit=limit, after=after)
        return page

    def answer_transfer(self, operator: Operator, catalog: str, transfer_id: str, verb: str) -> None:
        """``accept``, ``decline`` or ``cancel``."""
        transfers = self._service.registry.transfers
        answer = {"accept": transfers.accept, "decline": transfers.decline, "cancel": transfers.cancel}[verb]
        answer(catalog, _uuid("transfer", transfer_id), actor=operator.name)

    def enrolment_tokens(self, catalog: str) -> list[Document]:
        """Enrolment tokens without their secrets."""
        items: list[Document] = views.enrolment_tokens(self._service, catalog)["items"]
        return items

    def create_enrolment_token(self, operator: Operator, catalog: str, wish: Document) -> Document:
        """A new enrolment token and its secret."""
        made = self._service.enrolments.create(catalog, actor=operator.name, **wish)
        return {"token": as_document(made.token), "secret": made.secret}

    def revoke_enrolment_token(self, operator: Operator, catalog: str, token_id: str) -> None:
        """Make an enrolment token useless."""
        self._service.enrolments.revoke(catalog, _uuid("enrolment token", token_id), actor=operator.name)

    def releases(self) -> list[Document]:
        """OS releases, newest first."""
        items: list[Document] = views.releases(self._service)["items"]
        return items

    def tokens(self) -> list[Document]:
        """Tokens without their secrets."""
        items: list[Document] = views.tokens(self._service)["items"]
        return items

    def create_token(self, operator: Operator, name: str, role: str) -> Document:
        """A new token and its secret."""
        made = self._service.tokens.create(name, role, actor=operator.name)
        return {"token": as_document(made.token), "secret": made.secret}

    def revoke_token(self, operator: Operator, token_id: str) -> None:
        """End a token."""
        self._service.tokens.revoke(_uuid("token", token_id), actor=operator.name)


def _operator(token: Token) -> SignedIn:
    return SignedIn(token.name, token.role, token.catalog_id, token.organisation, str(token.token_id))


def _uuid(kind: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError(f"no {kind} has the id {text[:40]!r}", remedy="Check the address.") from None
