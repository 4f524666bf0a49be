# SPDX-License-Identifier: Apache-2.0
"""Sets, watches and removes the rules between a guardian's sides (nftables)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from armillary.engines.isolation.programs import run
from armillary.errors import HostError
from armillary.guard.isolation.filtering import TABLE, removal, ruleset
from armillary.guard.isolation.plan import Isolation


class Firewall:
    """The rules of a plan on this host. All methods block for some milliseconds and raise HostError."""

    def __init__(self, plan: Isolation) -> None:
        self._script = ruleset(plan)
        self._standing = ""

    def check(self) -> None:
        """Let the kernel look at the rules and change nothing."""
        run("nft", "--check", "--file", "-", text=self._script)

    def set(self) -> None:
        """Set the rules, all in one transaction, in place of those that stood."""
        run("nft", "--file", "-", text=self._script)
        self._standing = _listing()

    def stands(self) -> bool:
        """Whether the rules are as they were set: another program may have emptied or changed them."""
        try:
            return _listing() == self._standing
        except HostError:  # the table is gone
            return False

    def refused(self) -> Mapping[str, int]:
        """How many packets each counter of ``guard.isolation.filtering.REFUSED`` has seen since the rules were set."""
        found = json.loads(run("nft", "--json", "list", "counters", "table", "inet", TABLE))
        return {each["counter"]["name"]: each["counter"]["packets"] for each in found["nftables"] if "counter" in each}


def remove_rules() -> None:
    """Take the rules away; also where there are none."""
    run("nft", "--file", "-", text=removal())


def _listing() -> str:
    """The rules as they stand, without their counts."""
    return "".join(run("nft", "--stateless", "list", "table", family, TABLE) for family in ("inet", "arp"))
