# SPDX-License-Identifier: Apache-2.0
"""Several sources of one repository, asked in turn: one that lies, is slow or is gone costs time and nothing else.

Metadata is asked of the device endpoint first (nothing is fresher), artifacts of the mirrors first (that is what they
are for). A source whose bytes were refused goes to the end of both orders until the device starts again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from armillary.device.repository.source import HttpSource
from armillary.errors import InvalidArgumentError, RepositoryError, TransferError
from armillary.update.repository.port import Accepted
from armillary.wire.text.web_address import split_web_address

METADATA = "metadata/"
TARGETS = "targets/"
MAX_MIRRORS = 8  # each costs a refresh one request more in the worst case
_ADDRESS_REMEDY = "Give the folder that holds metadata/ and targets/, as https://cdn.example.com/armillary/."


def check_mirrors(addresses: Sequence[str]) -> tuple[str, ...]:
    """Addresses of mirrors as a person gave them.

    Raises:
        InvalidArgumentError: one is no address of a web server, or there are more than :data:`MAX_MIRRORS`.
    """
    if len(addresses) > MAX_MIRRORS:
        raise InvalidArgumentError(
            f"{len(addresses)} mirrors: expected at most {MAX_MIRRORS}", remedy="Name the nearest mirrors only."
        )
    for address in addresses:
        try:
            parts = split_web_address(address)
        except ValueError as error:
            raise InvalidArgumentError(f"mirror {address}: {error}", remedy=_ADDRESS_REMEDY) from error
        if parts.query or parts.fragment:
            raise InvalidArgumentError(
                f"mirror {address}: expected the address of a folder, without ? and #", remedy=_ADDRESS_REMEDY
            )
    return tuple(addresses)


class Sources:
    """The device endpoint's ``own`` source (None where there is none) and mirrors.

    ``refused`` is told the name of a source and why its answer was not taken.
    """

    def __init__(
        self, own: HttpSource | None, mirrors: Sequence[HttpSource], refused: Callable[[str, str], None]
    ) -> None:
        self._own = () if own is None else (own,)
        self._mirrors = tuple(mirrors)
        self._refused = refused
        self._blamed: set[str] = set()

    async def metadata(self, name: str, limit: int, accept: Callable[[bytes], Accepted]) -> Accepted | None:
        """See :class:`armillary.update.repository.port.Fetcher`."""
        failure: RepositoryError | None = None
        missing = False
        for source in self._in_order(self._own + self._mirrors):
            try:
                data = await source.read(METADATA + name, limit)
            except TransferError as error:
                self._refused(source.name, error.message)
                failure = failure or error
                continue
            if data is None:
                missing = True
                continue
            try:
                return accept(data)
            except RepositoryError as error:
                self.blame(source, error)
                failure = error if failure is None or isinstance(failure, TransferError) else failure
        if missing or failure is None:
            return None
        raise failure

    def for_artifacts(self) -> tuple[HttpSource, ...]:
        """The sources in the order in which artifacts are asked for."""
        return self._in_order(self._mirrors + self._own)

    def blame(self, source: HttpSource, error: RepositoryError) -> None:
        """Note that the bytes of a source were refused."""
        self._blamed.add(source.name)
        self._refused(source.name, error.message)

    def _in_order(self, sources: tuple[HttpSource, ...]) -> tuple[HttpSource, ...]:
        return tuple(
            sorted(sources, key=lambda source: source.name in self._blamed)
        )  # sorting keeps the order of equals
