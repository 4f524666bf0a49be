# SPDX-License-Identifier: Apache-2.0
"""The console, made when somebody first visits it: a service that nobody looks at keeps six megabytes less."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_APPLICATION = "armillary.console.application"


class ConsoleOnDemand:
    """An ASGI application that stands for the console, which it makes with its arguments (``create_console``)."""

    def __init__(self, *parts: Any, **named: Any) -> None:
        self._parts, self._named = parts, named
        self._console: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the console, made now if this is the first visit; others wait for it meanwhile."""
        if self._console is None:
            async with self._making:
                if self._console is None:
                    application = await asyncio.to_thread(importlib.import_module, _APPLICATION)
                    self._console = application.create_console(*self._parts, **self._named)
        await self._console(scope, receive, send)
