# SPDX-License-Identifier: Apache-2.0
"""A store that is opened at its first use: what is not used takes no file and no memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from armillary.errors import DataFolderError


class Closable(Protocol):
    """A store that :class:`OnDemand` can close."""

    def close(self) -> None:
        """Release files and threads."""


StoreT = TypeVar("StoreT", bound=Closable)


class OnDemand(Generic[StoreT]):
    """One store, opened once, closed once; from any thread.

    ``open_store`` opens or makes it, and blocks; after an error the next :meth:`get` tries again. ``is_made`` says
    whether an earlier process has made it.
    """

    def __init__(self, open_store: Callable[[], StoreT], is_made: Callable[[], bool]) -> None:
        self._open = open_store
        self._is_made = is_made
        self._lock = threading.Lock()
        self._store: StoreT | None = None
        self._closed = False

    @property
    def exists(self) -> bool:
        """Whether it was ever made; a caller that only reads does not have to make it."""
        return self._store is not None or self._is_made()

    def get(self) -> StoreT:
        """The store, opened or made at the first call.

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
        """End its use: the store for the caller to close; None if it was not opened."""
        with self._lock:
            self._closed = True
            store, self._store = self._store, None
        return store

    def close(self) -> None:
        """Close it if it was opened; it is not opened again."""
        store = self.take()
        if store is not None:
            store.close()
