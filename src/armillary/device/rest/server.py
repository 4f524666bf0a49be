# SPDX-License-Identifier: Apache-2.0
"""The server of the device's API, from the boot of a device to its end or next boot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Final

from armillary.device.rest import (
    application_calls,
    cellular_calls,
    certificate_calls,
    device_calls,
    image_calls,
    loading_calls,
    network_calls,
    wifi_calls,
)
from armillary.device.rest.answering import HEADERS, Answering
from armillary.device.rest.attached import AttachedDevice
from armillary.device.rest.authority import open_authority
from armillary.device.rest.call import Route
from armillary.device.rest.device_list import DeviceList
from armillary.device.rest.listener import Listener
from armillary.device.state.journal import Journal
from armillary.engines.sandbox.network.own_ports import own_port
from armillary.errors import HostError

LIST_HOST: Final = "127.0.0.1"
RETRY_S: Final = 30.0  # until the next try to listen at a port that was lost
FOLD_S: Final = 60.0  # one line of the log in this time says how many connections were refused


@dataclass(frozen=True, slots=True)
class RestAddress:
    """Where the API is: its URL, the file with the certificate to trust, and the URL of the plain list or None."""

    url: str
    ca: str
    list_url: str | None

    def status(self) -> dict[str, object]:
        """Its part of the status file."""
        return {"url": self.url, "ca": self.ca, "list": self.list_url}


@contextlib.asynccontextmanager
async def serve(device: AttachedDevice) -> AsyncGenerator[RestAddress]:
    """Serve the API while the block runs.

    Raises:
        PortInUseError: the address or port cannot be listened at.
        DataFolderError: the authority cannot be made or read.
    """
    settings = device.settings
    authority = open_authority(device.folder.rest)
    unknown = "at another host" if settings.link is None else "without the secret of the service link"
    refusals = Refusals(device.journal, device.clock.monotonic, unknown)

    def listener(answering: Answering | DeviceList, *, is_api: bool) -> Listener:
        return Listener(
            answering.answer,
            headers=HEADERS,
            tls=authority.server_context(settings.host) if is_api else None,
            owner_only=settings.tells_users_apart or not is_api,
            refused=refusals.add,
            link=settings.link if is_api else None,
        )

    # Nothing of this host gets in by a service link: its port is free for applications.
    marked = own_port if settings.link is None else contextlib.nullcontext
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(refusals.write)
        marks = stack.enter_context(contextlib.ExitStack())  # until nothing listens any more
        stack.push_async_callback(device.debugging.close)
        api = listener(Answering(device, routes()), is_api=True)
        stack.push_async_callback(api.close)
        port = api.listen(settings.host, settings.port, found=lambda port: marks.enter_context(marked(port)))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = RestAddress(f"https://{host}:{port}", str(authority.path), None)
        if settings.list_port is not None:
            listing = listener(DeviceList(settings.host, address.url), is_api=False)
            stack.push_async_callback(listing.close)
            list_port = listing.listen(LIST_HOST, settings.list_port)
            address = replace(address, list_url=f"http://{LIST_HOST}:{list_port}/api/service/devices")
        await asyncio.to_thread(network_calls.switch_as_left, device)
        yield address


@contextlib.asynccontextmanager
async def serve_again(device: AttachedDevice, told: Callable[[RestAddress | None], object]) -> AsyncGenerator[None]:
    """Serve the API while the block runs, as soon as its port is free: a device that restarts does not end over it.

    ``told`` hears the address whenever it is served, and None where it is not.
    """

    async def keep_trying() -> None:
        while True:
            try:
                async with serve(device) as address:
                    told(address)
                    tried.set()
                    await asyncio.Event().wait()
            except HostError as error:
                if not tried.is_set():
                    told(None)
                    device.journal.write("rest-lost", reason=error.message)
                tried.set()
            await asyncio.sleep(RETRY_S)

    tried = asyncio.Event()
    task = asyncio.create_task(keep_trying(), name="device API")
    first = asyncio.create_task(tried.wait(), name="device API first try")
    try:
        await asyncio.wait({task, first}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()  # a defect ended it: let it be seen
        yield
    finally:
        for each in (task, first):
            each.cancel()
        await asyncio.gather(task, first, return_exceptions=True)


class Refusals:
    """Connections that were refused, in few lines of the log: others must not fill it."""

    def __init__(self, journal: Journal, monotonic: Callable[[], float], unknown: str) -> None:
        """``unknown`` is what is said of somebody whose user is not known."""
        self._unknown = unknown
        self._journal = journal
        self._monotonic = monotonic
        self._user: int | None = None
        self._count = 0
        self._written: float | None = None

    def add(self, user: int | None) -> None:
        """Count one of this user, or of somebody unknown; the first is written at once."""
        self._user = user
        self._count += 1
        if self._written is None or self._monotonic() - self._written >= FOLD_S:
            self.write()

    def write(self) -> None:
        """Write the last user and how many there were since the line before; nothing where there was none."""
        if self._count:
            user = self._unknown if self._user is None else self._user
            self._journal.write("rest-refused", user=user, count=self._count)
            self._count, self._written = 0, self._monotonic()


def routes() -> tuple[Route, ...]:
    """The table of the API, for one boot."""
    return (
        *device_calls.ROUTES,
        *image_calls.ROUTES,
        *application_calls.routes(),
        *loading_calls.ROUTES,
        *certificate_calls.ROUTES,
        *network_calls.ROUTES,
        *wifi_calls.ROUTES,
        *cellular_calls.ROUTES,
    )
