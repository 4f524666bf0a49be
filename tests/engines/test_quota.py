# SPDX-License-Identifier: Apache-2.0
"""Quotas: the limits of an owner, of a catalog and of all; what fails gives back what it held."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from armillary.engines.quota import Quota, address_owner
from armillary.errors import QuotaExceededError


def test_an_owner_has_its_share_and_all_have_the_total() -> None:
    quota = Quota("streams", each=2, total=3, retry_after_s=7)
    quota.take("a")
    quota.take("a")
    with pytest.raises(QuotaExceededError, match="a has 2 streams, which is all it may have") as refused:
        quota.take("a")
    assert refused.value.retry_after_s == 7
    quota.take("b")
    with pytest.raises(QuotaExceededError, match="3 streams, which is all there may be"):
        quota.take("c")
    assert (len(quota), quota.of("a"), quota.of("b"), quota.of("c"), quota.refused) == (3, 2, 1, 0, 2)
    quota.free("a")
    quota.take("c")
    assert (len(quota), quota.of("a"), quota.of("c")) == (3, 1, 1)


def test_a_catalog_has_half_whatever_owners_it_has_and_some_are_for_owners_of_none() -> None:
    quota = Quota("streams", each=2, total=8, retry_after_s=7)
    for owner in ("a", "a", "b", "c"):
        quota.take(owner, "Alpha")
    with pytest.raises(QuotaExceededError, match="the catalog has 4 streams, which is all that one may have"):
        quota.take("d", "Alpha")
    for owner in ("e", "e", "f"):
        quota.take(owner, "Beta")
    for owner, catalog in (("g", "Beta"), ("h", "Gamma")):
        with pytest.raises(QuotaExceededError, match="7 streams, which is all there may be"):
            quota.take(owner, catalog)
    quota.take("operator")
    with pytest.raises(QuotaExceededError, match="8 streams, which is all there may be"):
        quota.take("operator")
    quota.free("b", "Alpha")
    quota.take("d", "Alpha")
    assert (quota.of_all("Alpha"), quota.of_all("Beta"), quota.of("b"), len(quota)) == (4, 3, 0, 8)
    for owner, catalog in [("a", "Alpha")] * 2 + [("c", "Alpha"), ("d", "Alpha")] + [("e", "Beta")] * 2:
        quota.free(owner, catalog)
    assert (quota.of_all("Alpha"), quota.of_all("Beta"), len(quota)) == (0, 1, 2)


def test_a_block_that_fails_gives_back_what_it_held() -> None:
    quota = Quota("streams", each=1, total=1, retry_after_s=1)
    within: list[int] = []

    def work() -> None:
        with quota.held("a"):
            within.append(len(quota))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert within == [1]
    assert (len(quota), quota.of("a")) == (0, 0)
    with quota.held("b"):
        pass


def test_threads_together_never_have_more_than_the_total() -> None:
    quota = Quota("streams", each=1000, total=50, retry_after_s=1)

    def taken(_: int) -> bool:
        try:
            quota.take("a")
        except QuotaExceededError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(taken, range(400))) == len(quota) == 50
    assert quota.refused == 350


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
