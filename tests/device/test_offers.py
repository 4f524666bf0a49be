# SPDX-License-Identifier: Apache-2.0
"""What a device makes of the offer or directive in a reply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.device.repository.device_side import Network, play
from tests.device.repository.directed_device import (
    CATALOG,
    KERNEL,
    KERNEL_IMAGE,
    OFFER,
    DirectedDevice,
    directive,
    repository,
)
from tests.fixtures.static_server import StaticServer, gone
from tests.wire.checkin_samples import REPLY

from armillary.device.offers import Offers, RefusedOffer, TakenOffer, offered_by
from armillary.wire.device.checkin import OfferedImage

PLAIN = replace(REPLY, offer=OFFER, directive=None)
NOTHING = replace(REPLY, offer=None, directive=None)


class Entries:
    def __init__(self) -> None:
        self.written: list[tuple[str, str]] = []

    def write(self, event: str, **facts: Any) -> None:
        self.written.append((event, facts["code"]))


async def downloaded(image: OfferedImage) -> bytes:
    return f"plain {image.name}".encode()


def directed(data: bytes) -> Any:
    return replace(REPLY, offer=None, directive=data, protocol_version=2, catalog_id=CATALOG)


def taken(*replies: Any, server: StaticServer | None = None) -> tuple[list[Any], list[tuple[str, str]]]:
    """What each reply in turn gives, and what was written to the journal."""
    serving = server or StaticServer(repository().files)
    entries = Entries()

    async def story(net: Network) -> list[Any]:
        offers = Offers(DirectedDevice(net, serving).directives, entries, downloaded)  # type: ignore[arg-type]
        found = [await offers.take(reply) for reply in replies]
        return [(each, await each.fetch(KERNEL_IMAGE)) if isinstance(each, TakenOffer) else each for each in found]

    return play(story, serving), entries.written


def test_a_directive_is_taken_with_what_the_repository_has():
    ((found, kernel),), written = taken(directed(directive()))
    assert (found.offer, kernel, written) == (OFFER, KERNEL, [])
    assert found.directed is not None


def test_nothing_is_nothing():
    assert taken(NOTHING) == ([None], [])


def test_a_plain_offer_is_taken_of_a_service_that_never_sent_a_directive():
    ((found, kernel),), _ = taken(PLAIN)
    assert (found.offer, kernel, found.directed) == (OFFER, b"plain kernel", None)


def test_after_a_directive_no_plain_offer_is_taken():
    (_, refused), written = taken(directed(directive()), PLAIN)
    assert isinstance(refused, RefusedOffer)
    assert not refused.again
    assert written == [("offer-refused", "repository.refused")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (directive(device_id="cd" * 64), "update.directive"),
        (b"\x00", "wire.malformed"),
        (directive(key=51), "wire.signature"),
    ],
)
def test_a_bad_directive_is_refused_and_written_down(data: bytes, code: str):
    (refused,), written = taken(directed(data))
    assert isinstance(refused, RefusedOffer)
    assert not refused.again
    assert written == [("offer-refused", code)]


def test_a_repository_that_does_not_answer_is_asked_again_soon():
    (refused,), written = taken(directed(directive()), server=StaticServer({}, gone))
    assert isinstance(refused, RefusedOffer)
    assert refused.again
    assert written == [("offer-refused", "repository.transfer")]


def test_the_log_says_of_a_reply_with_a_directive_that_one_came():
    assert offered_by(directed(directive())) == "directive", (
        "not nothing: the next line may be that an update is offered"
    )
    assert (offered_by(NOTHING), offered_by(PLAIN)) == ("nothing", str(OFFER.offer_id))
