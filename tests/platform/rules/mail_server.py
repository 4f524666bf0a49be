# SPDX-License-Identifier: Apache-2.0
"""A real mail server: what it keeps, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from tests.fixtures.waiting import until


class Mailbox:
    """Keeps what the server takes."""

    def __init__(self) -> None:
        self.messages: list[tuple[list[str], str]] = []
        self.refuse = ""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.messages.append((envelope.rcpt_tos, envelope.content.decode("utf-8", "replace")))
        return "250 OK"


class MailController(Controller):
    """Ends its connections before its loop: a transport that outlives it fails whichever test runs when it is freed."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._sessions: list[SMTP] = []

    def factory(self) -> SMTP:
        self._sessions.append(super().factory())
        return self._sessions[-1]

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._end_sessions(), self.loop).result()
        super().stop(no_assert)

    async def _end_sessions(self) -> None:
        for session in self._sessions:
            if session.transport is not None:
                session.transport.abort()
        await until(lambda: all(session.transport is None for session in self._sessions), "the sessions' end")
