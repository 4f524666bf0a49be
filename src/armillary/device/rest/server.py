# SPDX-License-Identifier: Apache-2.0
"""The server of the device's API, from the boot of a device to its end or next boot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Final

from armillary.device.rest import (
    application_calls,
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
from armillary.engines.sandbox.network.own_ports import own_port

LIST_HOST: Final = "127.0.0.1"


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

    def refused(user: int | None) -> None:
        device.journal.write("rest-refused", user="at another host" if user is None else user)

    def listener(answering: Answering | DeviceList, *, is_api: bool) -> Listener:
        return Listener(
            answering.answer,
            headers=HEADERS,
            tls=authority.server_context(settings.host) if is_api else None,
            owner_only=settings.token is None or not is_api,
            refused=refused,
        )

    async with contextlib.AsyncExitStack() as stack:
        marks = stack.enter_context(contextlib.ExitStack())  # until nothing listens any more
        api = listener(Answering(device, routes()), is_api=True)
        stack.push_async_callback(api.close)
        port = api.listen(settings.host, settings.port, found=lambda port: marks.enter_context(own_port(port)))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = RestAddress(f"https://{host}:{port}", str(authority.path), None)
        if settings.list_port is not None:
            listing = listener(DeviceList(settings.host, address.url), is_api=False)
            stack.push_async_callback(listing.close)
            list_port = listing.listen(LIST_HOST, settings.list_port)
            address = replace(address, list_url=f"http://{LIST_HOST}:{list_port}/api/service/devices")
        await asyncio.to_thread(network_calls.switch_as_left, device)
        yield address


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
    )
