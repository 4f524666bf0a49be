# SPDX-License-Identifier: Apache-2.0
"""Loading by hand: stage packages, install them, remove, start and stop applications.

What is loaded passes the checks of an update, on the whole set (``device/applications/by_hand.py``). One change of the
set is made at a time: while the service's update is under way, tools are told to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Final

from armillary.device.applications.applications import ApplicationStore
from armillary.device.applications.by_hand import Load, check_load, install_now, keep_packages, plan_load, plan_removal
from armillary.device.applications.sideload import signers
from armillary.device.applications.supervisor import ApplicationRun
from armillary.device.debugging.sessions import CannotDebugError, DebuggerStartsError
from armillary.device.rest.answering import is_allowed
from armillary.device.rest.application_calls import present, state_of
from armillary.device.rest.attached import AttachedDevice
from armillary.device.rest.call import Body, Call, Need, Route
from armillary.device.state.request_refused import RequestRefusedError
from armillary.errors import ConflictError, FlashFullError, InstallError, ManifestError, NoRoomError, NotFoundError
from armillary.update.install.transaction import InstallState
from armillary.wire.device import azure_error

CHANGE_WAIT_S: Final = 10.0
START_POLLS: Final = 100
_POLL_S: Final = 0.05
AUTO, MANUAL = "Auto", "Manual"
DEBUG: Final = "startDebug"


async def stage(call: Call) -> object:
    """Take a package; nothing of it runs before it is installed."""
    device = call.device
    trusted = signers(device.flash, device.startup.configuration, now=device.clock.now())
    found = await device.staging.put(call.chunks, trusted)
    device.journal.write("package-staged", component_id=found.component_id, image_id=found.image_id)
    return {}


async def install(call: Call) -> object:
    """Install what is staged; with ``Manual`` it is not started."""
    mode = call.word("appControlMode", (AUTO, MANUAL), default=AUTO)
    device = call.device
    if not device.staging.staged:
        return {}
    async with _change(device):
        packages = await asyncio.to_thread(device.staging.packages)
        store = _store(device)
        with _explained():
            load = plan_load(device.installer, packages)
            await asyncio.to_thread(_keep, device, store, load)
            install_now(device.installer, load.plan)
        device.staging.clear()
        for image_id in load.packages:
            if mode == MANUAL:
                await device.running.supervisor.halt(image_id)
            device.journal.write("application-loaded", image_id=image_id, mode=mode)
        await _run_active(device)
    return {}


async def delete(call: Call) -> object:
    """Remove the application of a component; one that is not there is no error, as on Azure Sphere."""
    device = call.device
    async with _change(device):
        try:
            removed, plan = plan_removal(device.installer, call.component_id)
        except NotFoundError:
            return {}
        install_now(device.installer, plan)
        device.journal.write("application-removed", name=removed.name, image_id=removed.image_id)
        await _run_active(device)
    return {}


async def _run_active(device: AttachedDevice) -> None:
    """Run what is installed; who debugged what is no more is let go."""
    await device.running.run_active()
    await device.debugging.keep_only({run.application.image_id for run in device.running.supervisor.runs})


async def control(call: Call) -> object:
    """Start or stop an application; with ``startDebug`` it starts anew, for a debugger."""
    trigger = call.word("trigger", ("start", DEBUG, "stop"))
    run = present(call)
    sessions = call.device.debugging
    if trigger == DEBUG:
        with _debuggable():
            sessions.check(run)
            with sessions.starting(run):
                return await _controlled(call, run, trigger)
    return await _controlled(call, run, trigger)


async def _controlled(call: Call, run: ApplicationRun, trigger: str) -> object:
    image_id, supervisor, sessions = run.application.image_id, call.device.running.supervisor, call.device.debugging
    async with _change(call.device):
        if trigger != "start" or run.is_debugged:
            await sessions.end(image_id)
            await supervisor.halt(image_id)
        if trigger != "stop":
            supervisor.resume(image_id, debugged=trigger == DEBUG)
    if trigger == "stop":
        return {"state": state_of(run)}
    for _ in range(START_POLLS):
        if run.running is not None:
            break
        await asyncio.sleep(_POLL_S)
    if trigger == "start":
        return {"state": state_of(run)}
    ports = await sessions.open(run, may=lambda: is_allowed(Need.DEVELOPMENT, call.device.allowed()))
    return {"state": state_of(run), "gdbPort": ports.gdb, "outPort": ports.output}


@contextlib.contextmanager
def _debuggable() -> Iterator[None]:
    try:
        yield
    except CannotDebugError as error:
        busy = isinstance(error, DebuggerStartsError)
        number = azure_error.BUSY if busy else azure_error.NO_DEBUG_SERVER
        raise RequestRefusedError(number, str(error), remedy=error.remedy) from error


_DENIED: Final = azure_error.UPDATE_DENIED
ROUTES: Final = (
    Route(method="PUT", path="update/stage", answer=stage, needs=Need.LOADING, body=Body.PACKAGE, denied=_DENIED),
    Route(method="POST", path="update/install", answer=install, needs=Need.LOADING, body=Body.JSON, denied=_DENIED),
    Route(method="DELETE", path="app/image/{}", answer=delete, needs=Need.LOADING, denied=_DENIED),
    Route(
        method="PATCH",
        path="app/status/{}",
        answer=control,
        needs=Need.DEVELOPMENT,
        body=Body.JSON,
        denied=azure_error.APPLICATION_CONTROL_DENIED,
    ),
)


@contextlib.asynccontextmanager
async def _change(device: AttachedDevice) -> AsyncGenerator[None]:
    """Hold what is installed and what runs; RequestRefusedError while an update of the service is under way."""
    try:
        async with asyncio.timeout(CHANGE_WAIT_S):
            await device.running.changes.acquire()
    except TimeoutError as error:
        raise _under_way() from error
    try:
        if device.installer.state is not InstallState.IDLE:
            raise _under_way()
        yield
    finally:
        device.running.changes.release()


def _under_way() -> RequestRefusedError:
    return RequestRefusedError(
        azure_error.UPDATE_UNDER_WAY, "an update of the service is under way", remedy="Try again once it is confirmed."
    )


def _store(device: AttachedDevice) -> ApplicationStore:
    """The store with the signers of this moment: the permission may have ended since the boot."""
    trusted = signers(device.flash, device.startup.configuration, now=device.clock.now())
    return replace(device.store, trusted=trusted)


def _keep(device: AttachedDevice, store: ApplicationStore, load: Load) -> None:
    check_load(store, load)
    keep_packages(device.installer, load)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what an installation raises into a refusal with Azure Sphere's number."""
    try:
        yield
    except ConflictError as error:
        raise RequestRefusedError(azure_error.DEPLOYED_ALREADY, error.message, remedy=error.remedy) from error
    except (NoRoomError, FlashFullError) as error:
        raise RequestRefusedError(azure_error.NO_ROOM, error.message, remedy=error.remedy) from error
    except InstallError as error:
        cause = error.__cause__
        number = cause.error_id if isinstance(cause, ManifestError) else None
        if number is None or number not in azure_error.MANIFEST_REFUSED:
            number = azure_error.INSTALLATION_FAILED
        raise RequestRefusedError(number, error.message, remedy=error.remedy) from error
