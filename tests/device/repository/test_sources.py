# SPDX-License-Identifier: Apache-2.0
"""Several sources in turn: a bad one costs time and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from tests.device.repository.device_side import Network, play
from tests.fixtures.static_server import Misbehaviour, StaticServer, drip, endless, gone, silent

from armillary.device.repository.sources import MAX_MIRRORS, check_mirrors
from armillary.errors import InvalidArgumentError, MismatchError, TransferError

GOOD = {"metadata/x.json": b"good"}
BAD = {"metadata/x.json": b"evil"}


def accept(data: bytes) -> bytes:
    if data != b"good":
        raise MismatchError(f"expected good, got {data!r}")
    return data


def ask(*servers: StaticServer, own: bool = True) -> tuple[Any, list[str], list[tuple[str, str]]]:
    """What two questions give, which sources had which order in the end, and what was noted."""

    async def story(net: Network) -> tuple[Any, list[str], list[tuple[str, str]]]:
        made = [net.source(f"source {number}", server) for number, server in enumerate(servers)]
        sources = net.sources(made[0], *made[1:]) if own else net.sources(None, *made)
        found = await sources.metadata("x.json", 100, accept)
        assert await sources.metadata("x.json", 100, accept) == found
        return found, [source.name for source in sources.for_artifacts()], net.refused

    result: tuple[Any, list[str], list[tuple[str, str]]] = play(story, *servers)
    return result


@pytest.mark.parametrize("misbehave", [drip, endless, gone, silent])
def test_a_bad_source_is_survived(misbehave: Misbehaviour):
    found, _, refused = ask(StaticServer(GOOD, misbehave), StaticServer(GOOD))
    assert found == b"good"
    assert {name for name, _ in refused} == {"source 0"}


def test_a_source_that_lies_is_asked_last_from_then_on():
    lying, honest = StaticServer(BAD), StaticServer(GOOD)
    found, order, refused = ask(lying, honest)
    assert found == b"good"
    assert (len(lying.asked), len(honest.asked)) == (1, 2)
    assert order == ["source 1", "source 0"]
    assert refused == [("source 0", "expected good, got b'evil'")]


def test_a_source_without_the_file_hides_it_from_nobody():
    assert ask(StaticServer({}), StaticServer(GOOD))[0] == b"good"


def test_what_no_source_has_is_not_there():
    assert ask(StaticServer({}), StaticServer({}))[0] is None


def test_a_forged_file_beside_sources_that_know_of_none_is_not_there():
    """A mirror alone cannot stop a refresh by inventing a next root."""
    assert ask(StaticServer({}), StaticServer(BAD))[0] is None


def test_when_all_lie_the_lie_is_what_is_told():
    with pytest.raises(MismatchError, match="expected good"):
        ask(StaticServer(GOOD, gone), StaticServer(BAD))


def test_when_nobody_answers_that_is_told():
    with pytest.raises(TransferError):
        ask(StaticServer(GOOD, gone), StaticServer(GOOD, gone))


def test_artifacts_are_asked_of_mirrors_first_and_metadata_of_the_service():
    own, mirror = StaticServer(GOOD), StaticServer(GOOD)
    _, order, _ = ask(own, mirror)
    assert order == ["source 1", "source 0"]
    assert (len(own.asked), len(mirror.asked)) == (2, 0)


@pytest.mark.parametrize(
    "address",
    ["cdn.example.com", "ftp://cdn.example.com/", "https:///x", "http://h/?a=b", "http://h/#x", "http://[", ""],
)
def test_a_mirror_is_the_address_of_a_folder(address: str):
    with pytest.raises(InvalidArgumentError, match="mirror"):
        check_mirrors([address])


def test_so_many_mirrors_are_taken_and_no_more():
    good = [f"https://mirror{number}.example.com:8443/armillary/" for number in range(MAX_MIRRORS)]
    assert check_mirrors(good) == tuple(good)
    with pytest.raises(InvalidArgumentError, match=f"expected at most {MAX_MIRRORS}"):
        check_mirrors([*good, "http://one.more/"])
