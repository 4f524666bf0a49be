# SPDX-License-Identifier: Apache-2.0
"""Places that are few: each owner's share, all together, given back whatever happens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from armillary.engines.places import Places, address_owner
from armillary.errors import NoPlaceError


def test_an_owner_has_its_share_and_all_have_the_total() -> None:
    places = Places("streams", each=2, total=3, retry_after_s=7)
    places.take("a")
    places.take("a")
    with pytest.raises(NoPlaceError, match="a has 2 streams, which is all it may have") as refused:
        places.take("a")
    assert refused.value.retry_after_s == 7
    places.take("b")
    with pytest.raises(NoPlaceError, match="3 streams, which is all there may be"):
        places.take("c")
    assert (len(places), places.of("a"), places.of("b"), places.of("c"), places.refused) == (3, 2, 1, 0, 2)
    places.free("a")
    places.take("c")
    assert (len(places), places.of("a"), places.of("c")) == (3, 1, 1)


def test_a_catalog_has_half_whatever_owners_it_has_and_some_are_for_owners_of_none() -> None:
    places = Places("streams", each=2, total=8, retry_after_s=7)
    for owner in ("a", "a", "b", "c"):
        places.take(owner, "Alpha")
    with pytest.raises(NoPlaceError, match="the catalog has 4 streams, which is all that one may have"):
        places.take("d", "Alpha")
    for owner in ("e", "e", "f"):
        places.take(owner, "Beta")
    for owner, catalog in (("g", "Beta"), ("h", "Gamma")):
        with pytest.raises(NoPlaceError, match="7 streams, which is all there may be"):
            places.take(owner, catalog)
    places.take("operator")
    with pytest.raises(NoPlaceError, match="8 streams, which is all there may be"):
        places.take("operator")
    places.free("b", "Alpha")
    places.take("d", "Alpha")
    assert (places.of_all("Alpha"), places.of_all("Beta"), places.of("b"), len(places)) == (4, 3, 0, 8)
    for owner, catalog in [("a", "Alpha")] * 2 + [("c", "Alpha"), ("d", "Alpha")] + [("e", "Beta")] * 2:
        places.free(owner, catalog)
    assert (places.of_all("Alpha"), places.of_all("Beta"), len(places)) == (0, 1, 2)


def test_a_place_is_given_back_by_who_fails_too() -> None:
    places = Places("streams", each=1, total=1, retry_after_s=1)
    within: list[int] = []

    def work() -> None:
        with places.held("a"):
            within.append(len(places))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert within == [1]
    assert (len(places), places.of("a")) == (0, 0)
    with places.held("b"):
        pass


def test_threads_together_never_have_more_than_the_total() -> None:
    places = Places("streams", each=1000, total=50, retry_after_s=1)

    def taken(_: int) -> bool:
        try:
            places.take("a")
        except NoPlaceError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(taken, range(400))) == len(places) == 50
    assert places.refused == 350


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("", ""),
        ("/run/socket", "/run/socket"),
    ],
)
def test_an_address_counts_for_who_has_it(host: str, owner: str) -> None:
    assert address_owner(host) == owner
