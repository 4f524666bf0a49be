# SPDX-License-Identifier: Apache-2.0
"""What a check-in's reply asks a device to install: a directive, or a plain offer of a service of before.

A device that has taken a directive once takes no plain offer any more: whoever took over the connection to the service
could otherwise leave the signatures away. What is refused changes nothing; the next check-in brings it or another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from armillary.device.repository.directives import DirectedOffer, Directives
from armillary.device.state.journal import Journal
from armillary.errors import ArmillaryError, ClockAheadError, TransferError
from armillary.wire.device.checkin import CheckinReply, Offer, OfferedImage

Fetch = Callable[[OfferedImage], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class TakenOffer:
    """An offer that the device may install; ``fetch`` brings the package of one image."""

    offer: Offer
    fetch: Fetch
    directed: DirectedOffer | None = None  # What the repository vouches for; None for a plain offer

    def check_room(self, images: Sequence[OfferedImage]) -> None:
        """Raise FlashFullError if the flash has no room to fetch ``images``; a plain offer has no say in it."""
        if self.directed is not None:
            self.directed.check_room(tuple(images))

    def settled(self) -> None:
        """It is installed or refused: what was kept of downloads goes."""
        if self.directed is not None:
            self.directed.forget_downloads()


@dataclass(frozen=True, slots=True)
class RefusedOffer:
    """Why there is nothing to install though the service wanted something; ``again``: it may be better very soon."""

    error: ArmillaryError
    again: bool

    @property
    def reason(self) -> str:
        """The code of ``wire.device.update_reason`` for it."""
        if isinstance(self.error, ClockAheadError):
            return "clock-ahead"
        return "download" if self.again else "repository"


class Offers:
    """Takes what replies offer; ``plain_fetch`` brings images of a plain offer."""

    def __init__(self, directives: Directives, journal: Journal, plain_fetch: Fetch) -> None:
        self._directives = directives
        self._journal = journal
        self._plain_fetch = plain_fetch

    async def take(self, reply: CheckinReply) -> TakenOffer | RefusedOffer | None:
        """What the reply offers; None where it offers nothing."""
        try:
            if reply.directive is not None:
                directed = await self._directives.take(reply.directive, catalog_id=reply.catalog_id)
                return TakenOffer(directed.offer, directed.fetch, directed)
            if reply.offer is None:
                return None
            self._directives.check_plain_offer()
        except ArmillaryError as error:
            self._journal.write("offer-refused", code=error.code, reason=error.message)
            return RefusedOffer(error, again=isinstance(error, TransferError))
        return TakenOffer(reply.offer, self._plain_fetch)


def offered_by(reply: CheckinReply) -> str:
    """What a reply offers, for the log: an offer's id, ``directive`` (it says what once verified), or ``nothing``."""
    if reply.directive is not None:
        return "directive"
    return "nothing" if reply.offer is None else str(reply.offer.offer_id)
