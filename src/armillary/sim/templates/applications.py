# SPDX-License-Identifier: Apache-2.0
"""Makes a running application from an application template, keeps its simulated devices running, removes it again.

::

    use ──▶ catalog, product, group ──▶ devices (tier simulated) ──▶ device templates, groups, dashboards
                                                                └──▶ live ──▶ a day of history ──▶ rules and jobs

Rules come last: what a simulation makes up of the past fires nothing. What was made is written down in a document of
the kind ``simulation``, whose id is the template's name; after a restart the simulation goes on from it. A device is
played here only while the registry says that its tier is *simulated* and that it is neither revoked nor unclaimed.

What makes and plays applications is loaded when the first one is used: two megabytes of models and signals.

Methods are called from threads; devices live in the hub's event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import structlog

from armillary.content import application_templates as shipped
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.store import Delete, Put
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService
    from armillary.sim.templates.making import Making
    from armillary.sim.templates.plans import DevicePlan
    from armillary.sim.templates.simulated_device import SimulatedDevice

_log = structlog.get_logger(__name__)

KIND: Final = "simulation"
# The catalog that is made where none is named.
DEFAULT_CATALOG: Final = "Simulated"
# Simulated devices of one application: IoT Central had 100; a message of one costs half a millisecond.
MAX_DEVICES: Final = 1000
# History that is made up: a day, denser towards its end, as charts of a day, of twelve and of six hours have their
# points. From and to, seconds before the beginning, and the step between.
HISTORY: Final = ((86_400.0, 43_200.0, 300.0), (43_200.0, 21_600.0, 120.0), (21_600.0, 0.0, 60.0))
# Devices that make up their history at a time.
HISTORY_DEVICES: Final = 4
# How often the loop looks for devices that are due (seconds).
LOOK_S: Final = 0.25
# Devices that are made at a time.
MAKERS: Final = 8
# How long :meth:`Applications.use` waits for its devices to connect (seconds).
LIVE_S: Final = 20.0


class Applications:
    """The application templates that are in use, and the simulated devices of all of them.

    Args:
        hub: Where they connect; must have started.
    """

    def __init__(self, service: SecurityService, hub: Hub, platform: Platform) -> None:
        self._service = service
        self._hub = hub
        self._platform = platform
        self._devices: dict[str, SimulatedDevice] = {}
        self._plans: dict[str, DevicePlan] = {}
        self._states: dict[str, str] = {}
        self._changing = threading.Lock()
        self._running: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        service.notices.on_revoked.append(self._stop_device)
        service.notices.on_device.append(self._check_device)

    # Life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Resume, in the background, the templates that were in use: the service is ready before its simulations are.

        Call it in the hub's loop.
        """
        task = asyncio.get_running_loop().create_task(self._go_on(), name="simulation-resume")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go_on(self) -> None:
        page = await asyncio.to_thread(self._platform.documents.list, KIND)
        for document in page.items:
            try:
                await asyncio.to_thread(self._resume, document.id, document.content)
            except (ArmillaryError, KeyError) as error:  # a template that is shipped no more stops no service
                _log.error("simulation.not-resumed", template=document.id, why=str(error))

    async def close(self) -> None:
        """Stop every simulated device. Call it in the hub's loop."""
        for task in (*self._tasks, *((self._running,) if self._running else ())):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for device in self._devices.values():
            device.disconnect()
        self._devices.clear()

    # What there is ------------------------------------------------------------------------------------------

    def catalog(self) -> list[dict[str, Any]]:
        """Every application template with its one-line description and whether it is in use."""
        return [self.describe(name) for name in shipped.names()]

    def describe(self, name: str) -> dict[str, Any]:
        """One application template and what was made from it; NotFoundError if there is none of this name."""
        head = shipped.head(name)
        found = self._platform.documents.find(KIND, name)
        described: dict[str, Any] = {key: head[key] for key in ("title", "line", "sector", "operator")}
        described = {"name": name, **described, "in_use": found is not None, "state": "not in use"}
        if found is None:
            return described
        body = found.content
        devices = [self._devices.get(each["id"]) for each in body["devices"]]
        live = [each for each in devices if each is not None and each.is_live]
        return {
            **described,
            "state": self._states.get(name, "running"),
            "catalog": body["catalog"],
            "product": body["product"],
            "began_ms": body["began_ms"],
            "devices": [dict(each) for each in body["devices"]],
            "devices_live": len(live),
            "devices_measuring": sum(1 for each in live if each.sent),
            "documents": [{"kind": kind, "id": document_id} for kind, document_id in body["documents"]],
            "incidents": sorted({name for each in live for name in each.incidents}),
            "trust_tier": "simulated",
        }

    # Use and unuse ------------------------------------------------------------------------------------------

    def use(self, name: str, *, actor: str, catalog: str | None = None, devices: int | None = None) -> dict[str, Any]:
        """Make an application of a template, or complete the one there is; returns when its devices are connected.

        What its author has changed since stays as it is. The catalog is made where there is none of this name. With
        another number of ``devices`` (over all kinds; by default as the template says) some are made, or taken out of
        service.

        Raises:
            NotFoundError: there is no such template.
            InvalidArgumentError: the number of devices.
            ConflictError: it is in use in another catalog.
        """
        from armillary.sim.templates import plans  # noqa: PLC0415 - see the head of this file
        from armillary.sim.templates.making import Making  # noqa: PLC0415

        template = shipped.load(name)
        wanted = plans.wanted_devices(template, devices)
        if len(wanted) > MAX_DEVICES:
            raise InvalidArgumentError(f"devices: expected at most {MAX_DEVICES}, got {len(wanted)}")
        with self._changing:
            store = self._platform.documents
            found = store.find(KIND, name)
            kept = DEFAULT_CATALOG if found is None else found.content["catalog"]
            owner = kept if catalog is None else catalog
            if found is not None and found.content["catalog"].lower() != owner.lower():
                raise ConflictError(
                    f"{name} is in use in catalog {found.content['catalog']}",
                    remedy=f"Take it away first: armillary template unuse {name}.",
                )
            self._states[name] = "making devices"
            try:
                making = Making(self._service, self._hub, self._platform, owner, template.head["product"], actor)
                making.place(template.head["title"])
                body: dict[str, Any] = (
                    {
                        "template": name,
                        "catalog": owner,
                        "product": template.head["product"],
                        "seed": secrets.token_hex(16),
                        "began_ms": self._hub.now_ms(),
                        "history": False,
                        "devices": [],
                        "documents": [],
                    }
                    if found is None
                    else dict(found.content)
                )
                self._fit_devices(template, body, wanted, making)
                documents = plans.documents_of(template, owner)
                body["documents"] = [[kind, document_id] for kind, document_id in documents]
                making.documents({key: each for key, each in documents.items() if key[0] not in ("rule", "job")})
                making.cloud_properties(template, body["devices"])
                making.names(body["devices"])
                detail = {"devices": len(wanted), "catalog": owner}
                entry = AuditEntry(actor, "application-template.use", name, detail)
                store.put(KIND, name, body, by=entry)
                self._begin(name, plans.plans_of(template, body))
                self._wait_live(body)
            except BaseException:  # whatever it is: nothing is being made any more, and it goes on
                self._states.pop(name, None)
                raise
            later = {key: each for key, each in documents.items() if key[0] in ("rule", "job")}
            if body["history"]:
                making.documents(later)
                self._states[name] = "running"
            else:
                self._states[name] = "making up a day of history"
                self._in_loop(self._start_history(name, body, making, later))
        return self.describe(name)

    def unuse(self, name: str, *, actor: str) -> dict[str, Any]:
        """Take away what :meth:`use` made: its documents are deleted, its devices go out of service.

        Raises:
            NotFoundError: it is not in use.
            ConflictError: a run of one of its jobs is under way.
        """
        from armillary.sim.templates.making import Making  # noqa: PLC0415 - see the head of this file

        with self._changing:
            store = self._platform.documents
            found = store.find(KIND, name)
            if found is None:
                raise NotFoundError(
                    f"the application template {name[:64]!a} is not in use",
                    remedy="List them: armillary template catalog.",
                )
            for kind, document_id in found.content["documents"]:
                if kind == "job":
                    self._platform.jobs.check_idle(document_id)
            ids = [each["id"] for each in found.content["devices"]]
            self._states.pop(name, None)
            for device_id in ids:
                self._plans.pop(device_id, None)
                self._stop_device(device_id)
            making = Making(
                self._service, self._hub, self._platform, found.content["catalog"], found.content["product"], actor
            )
            making.take_out(ids)
            gone = [("device", device_id) for device_id in ids]
            gone += [(kind, document_id) for kind, document_id in found.content["documents"]]
            changes: list[Put | Delete] = [Delete(kind, each) for kind, each in gone if store.find(kind, each)]
            entry = AuditEntry(actor, "application-template.unuse", name, {"devices": len(ids)})
            store.change([*changes, Delete(KIND, name)], by=entry)
            for kind, document_id in found.content["documents"]:
                self._platform.forget_document(kind, document_id)
            making.remove_place()
        return {"name": name, "devices": len(ids), "documents": len(changes)}

    # Inside -------------------------------------------------------------------------------------------------

    def _fit_devices(
        self,
        template: shipped.ApplicationTemplate,
        body: dict[str, Any],
        wanted: Sequence[tuple[str, int, str]],
        making: Making,
    ) -> None:
        """Make the devices that are missing, take out those that are too many."""
        have = {(each["role"], each["number"]): each for each in body["devices"]}
        keys = {(role, number) for role, number, _ in wanted}
        extra = [each["id"] for key, each in have.items() if key not in keys]
        for device_id in extra:
            self._plans.pop(device_id, None)
            self._stop_device(device_id)
        making.take_out(extra)
        with ThreadPoolExecutor(MAKERS, "making-devices") as pool:  # together, so that commits are shared
            pending = {
                (role, number): pool.submit(making.device, template.name, role, number, device_name)
                for role, number, device_name in wanted
                if (role, number) not in have
            }
            made = {key: each.result() for key, each in pending.items()}
        body["devices"] = [have.get((role, number)) or made[role, number] for role, number, _ in wanted]

    def _resume(self, name: str, body: Mapping[str, Any]) -> None:
        from armillary.sim.templates import plans  # noqa: PLC0415 - see the head of this file
        from armillary.sim.templates.making import Making  # noqa: PLC0415

        template = shipped.load(name)
        with self._changing:
            making = Making(self._service, self._hub, self._platform, body["catalog"], body["product"], "simulation")
            making.names(body["devices"])
            if not body["history"]:  # cut short: what is there of it stays, and the rules begin
                making.documents(plans.documents_of(template, body["catalog"]))
                self._platform.documents.put(KIND, name, {**body, "history": True}, by="simulation")
            self._begin(name, plans.plans_of(template, body))

    def _begin(self, name: str, plans: Sequence[DevicePlan]) -> None:
        """Start the devices that are not running yet."""
        from armillary.sim.templates.simulated_device import SimulatedDevice  # noqa: PLC0415 - see the head of this file

        allowed = [plan for plan in plans if self._may_play(plan.device_id)]
        self._plans |= {plan.device_id: plan for plan in plans}

        def start() -> None:
            for plan in allowed:
                if plan.device_id not in self._devices:
                    self._devices[plan.device_id] = SimulatedDevice(plan, self._hub.front)
            if self._running is None and self._devices:
                self._running = asyncio.get_running_loop().create_task(self._run(), name="simulation")

        self._hub.soon(start)
        _log.info("simulation.begun", template=name, devices=len(allowed))

    def _wait_live(self, body: Mapping[str, Any]) -> None:
        ids = [each["id"] for each in body["devices"] if self._may_play(each["id"])]
        deadline = time.monotonic() + LIVE_S
        while time.monotonic() < deadline:
            devices = [self._devices.get(device_id) for device_id in ids]
            if all(each is not None and (each.is_live or each.incidents) for each in devices):
                return
            time.sleep(0.02)

    def _may_play(self, device_id: str) -> bool:
        try:
            device = self._service.registry.devices.get(device_id)
        except ArmillaryError:
            return False
        return (
            device.trust_tier == "simulated"
            and device.catalog_id is not None
            and device.revoked_at is None
            and device.decommissioned_at is None
        )

    def _stop_device(self, device_id: str) -> None:
        """Of a device that was revoked or is not wanted any more; from any thread."""

        def stop() -> None:
            device = self._devices.pop(device_id, None)
            if device is not None:
                device.disconnect()

        if device_id in self._devices:
            self._hub.soon(stop)

    def _check_device(self, device_id: str) -> None:
        """Start a simulated device again after its record changed, if it may connect now."""
        plan = self._plans.get(device_id)
        if plan is not None and device_id not in self._devices and self._may_play(device_id):
            self._begin(plan.role, [plan])

    def _in_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        def start() -> None:
            task = asyncio.get_running_loop().create_task(coroutine, name="simulation-history")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._hub.soon(start)

    async def _start_history(
        self, name: str, body: Mapping[str, Any], making: Making, later: Mapping[tuple[str, str], Any]
    ) -> None:
        end_s = body["began_ms"] / 1000.0
        gate = asyncio.Semaphore(HISTORY_DEVICES)

        async def one(device: SimulatedDevice) -> int:
            async with gate:
                return sum([await device.backfill(end_s - far, end_s - near, step) for far, near, step in HISTORY])

        devices = [self._devices[each["id"]] for each in body["devices"] if each["id"] in self._devices]
        counts = await asyncio.gather(*(one(device) for device in devices))
        _log.info("simulation.history", template=name, messages=sum(counts))
        await asyncio.to_thread(self._finish, name, making, later)

    def _finish(self, name: str, making: Making, later: Mapping[tuple[str, str], Any]) -> None:
        """Keep rules and jobs, once the past has been filled with values."""
        with self._changing:
            found = self._platform.documents.find(KIND, name)
            if found is None:  # taken away meanwhile
                return
            making.documents(later)
            self._platform.documents.put(KIND, name, {**found.content, "history": True}, by="simulation")
            self._states[name] = "running"

    async def _run(self) -> None:
        """Have every device that is due measure, until cancelled."""
        while True:
            now_s = self._hub.now_ms() / 1000.0
            for number, device in enumerate(list(self._devices.values())):
                if device.due_s <= now_s:
                    self._tick(device, now_s)
                if number % 50 == 49:
                    await asyncio.sleep(0)  # packets of others go between
            await asyncio.sleep(LOOK_S)

    def _tick(self, device: SimulatedDevice, now_s: float) -> None:
        try:
            device.tick(now_s)
        except Exception as error:  # noqa: BLE001 - the loop of all devices: one that fails stops none of the others
            _log.exception("simulation.device-failed", device=device.plan.device_id[:16], why=str(error))
            device.due_s = now_s + 60.0
