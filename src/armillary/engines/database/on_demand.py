# SPDX-License-Identifier: Apache-2.0
"""A store that is opened when it is first asked for: what nobody uses costs no file and no memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from armillary.errors import DataFolderError


class Closable(Protocol):
    """What can be opened and closed."""

    def close(self) -> None:
        """Give back files and threads."""


StoreT = TypeVar("StoreT", bound=Closable)


class OnDemand(Generic[StoreT]):
    """One store, opened once, closed once; from any thread.

    Args:
        open_store: Opens or makes it; blocks. An error leaves it to be opened by the next who asks.
        is_made: Whether an earlier life has made it.
    """

    def __init__(self, open_store: Callable[[], StoreT], is_made: Callable[[], bool]) -> None:
        self._open = open_store
        self._is_made = is_made
        self._lock = threading.Lock()
        self._store: StoreT | None = None
        self._closed = False

    @property
    def exists(self) -> bool:
        """Whether it was ever made: whoever only reads need not make it."""
        return self._store is not None or self._is_made()

    def get(self) -> StoreT:
        """The store, opened or made when first asked for.

        Raises:
            DataFolderError: it cannot be opened, or it is closed for good.
        """
        with self._lock:
            if self._closed:
                raise DataFolderError("the store is closed", remedy="Ask the service that runs now.")
            if self._store is None:
                self._store = self._open()
            return self._store

    def take(self) -> StoreT | None:
        """The store for the last time, None where nobody had asked for it; whoever takes it closes it."""
        with self._lock:
            self._closed = True
            store, self._store = self._store, None
        return store

    def close(self) -> None:
        """Close it if it was opened; it is not opened again."""
        store = self.take()
        if store is not None:
            store.close()
