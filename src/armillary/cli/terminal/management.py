# SPDX-License-Identifier: Apache-2.0
"""The management API in the shape of Azure Sphere's: its long-running operations and its pages.

Specification: the public Azure Sphere management API, api-version 2024-04-01.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from armillary.cli.terminal.exchange import Exchange, with_query
from armillary.cli.terminal.progress import waiting
from armillary.errors import OperatorError, ServiceUnreachableError

# A long-running operation is polled this often (seconds) unless the service says otherwise, and at most so long.
POLL_S = 0.5
OPERATION_DEADLINE_S = 120.0
API_VERSION = "2024-04-01"
# The service ignores subscriptions (there is one owner: you); the management API's paths need one.
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


class ManagementApi:
    """Calls of management routes over an :class:`Exchange`, whose errors they raise."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Call a route; waits for a long-running operation and returns its result."""
        query = {"api-version": API_VERSION, **query}
        status, headers, answer = self._exchange.call(method, with_query(path, query), body)
        follow = headers.get("Azure-AsyncOperation") or headers.get("Location")
        if status not in (201, 202) or follow is None:
            return answer
        return self._finish(method, path, query, headers, answer)

    def pages(self, path: str, *, method: str = "GET", **query: object) -> Iterator[dict[str, Any]]:
        """Items of a list; the first page by ``method``, the next ones by GET on ``nextLink``."""
        answer = self.call(method, path, **query)
        while True:
            yield from answer["value"]
            link = answer.get("nextLink")
            if not link:
                return
            answer = self._follow(link)[1]

    def _finish(
        self, method: str, path: str, query: Mapping[str, object], headers: http.client.HTTPMessage, answer: Any
    ) -> Any:
        status_url, result_url = headers.get("Azure-AsyncOperation"), headers.get("Location")
        if status_url is not None:
            with waiting("the operation"):
                self._await(status_url)
        if result_url is not None:
            return self._follow(result_url)[1]
        if method == "PUT":
            return self._exchange.call("GET", with_query(path, query))[2]
        return answer

    def _await(self, status_url: str) -> None:
        """Poll an operation until it has succeeded."""
        deadline = time.monotonic() + OPERATION_DEADLINE_S
        while True:
            polled, state = self._follow(status_url)
            if state["status"] == "Succeeded":
                return
            if state["status"] in ("Failed", "Canceled"):
                _raise_failed(state)
            if time.monotonic() > deadline:
                raise ServiceUnreachableError(f"{self._exchange.address}: the operation did not end in time")
            time.sleep(float(polled.get("Retry-After") or POLL_S))

    def _follow(self, link: str) -> tuple[http.client.HTTPMessage, Any]:
        """GET what a link names: the token goes to the service that was named and nowhere else."""
        parts = urlsplit(link)
        return self._exchange.call("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)[1:]


def _raise_failed(state: Mapping[str, Any]) -> NoReturn:
    error = state.get("error") or {}
    raise OperatorError(str(error.get("message") or "the operation failed"), code=str(error.get("code") or "request"))
