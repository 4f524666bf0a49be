# SPDX-License-Identifier: Apache-2.0
"""Odd requests to the routes of updates: each place of a path and each field of a body in every form that is none.

The routes are those of the modules that are named here; whoever adds one to them need not know of this file. Everything
that is not odd about a request is right, so that it comes as far as what is odd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.attacks.tenant_asks import World, body_for, target
from tests.attacks.tenant_world import Ask

from armillary.api.native.service import (
    authorities,
    bridge,
    os_feeds,
    release_life,
    repository,
    rollouts,
    schedules,
    signing_keys,
)

ROUTES: Final = tuple(
    f"{row.method} {row.path}"
    for module in (authorities, bridge, os_feeds, release_life, repository, rollouts, schedules, signing_keys)
    for row in module.ROUTES
)
# What stands in a path, as it is sent. A slash in a name is another address; nobody's names have spaces alone.
PLACES: Final = ("%00", "..%2f..", "%ff", "-1", "9" * 30, "a" * 5000, "%F0%9F%94%A5", "*")
VALUES: Final[tuple[Any, ...]] = (None, True, -1, 2**70, 1.5, "", "x" * 5000, "\x00", [], {}, [None])
# Bodies with every field that a route takes, where ``tenant_asks.BODIES`` has those that it needs.
FULL: Final[Mapping[str, Mapping[str, Any]]] = {
    "/bridge-admission": {
        "tenant": "zqodd", "target_tokens": True, "certificates": True, "gateway_token": "off", "registers_into": "off",
        "polling_s": 60,
    },
    "/bridge-devices": {"controller": "odd", "product": "x", "group": "x", "token": "t" * 20},
    "/bridge-devices/{controller}/token": {"token": "t" * 20},
    "/bridge-artifacts": {
        "name": "x", "version": "1", "filename": "x", "size": 1, "sha256": "00" * 32, "part": "os",
    },
    "/releases/drafts": {
        "chip": "mt3620", "version": "98.1", "feed": "RetailEval", "os_abi": 1, "security_version": 1,
        "components": {"x": "AA=="},
    },
    "/os-feeds": {"name": "Odd", "follows": "Retail"},
    "/repository/key-changes": {"changes": [{"role": "director", "public_keys": [], "online": 1, "threshold": 1}]},
    "/service-authorities/renew": {"kind": "silicon", "name": "x"},
    "/signing-keys/renew": {"purposes": ["os"]},
    "/signing-keys/use": {"despite": False},
    "/repository/clock-corrections": {"first": 4_000_000_000, "last": 4_000_000_001},
    "/repository/signatures": {"documents": [{"role": "root", "metadata": {}}]},
    "/releases/{release_id}/rollout": {"feed": "Retail", "catalog": "x", "policy": {
        "cohorts": [10, 100], "rings": [{"name": "r", "devices": ["0" * 128]}], "soak_s": 1, "min_failures": 1,
        "failure_percent": 1, "timeout_s": 5, "false_hold_percent": 1, "lease_s": 3600, "hold_on_severity": "high",
    }},
    "/releases/{release_id}/rollout-preview": {"feed": "Retail", "catalog": "x", "policy": {"cohorts": [100]}},
    **{f"/catalogs/{{catalog}}/{each}": {
        "product": "x", "group": "x", "image_ids": ["00000000-0000-0000-0000-000000000001"],
        "policy": {"cohorts": [100]}} for each in ("rollouts", "rollout-preview")},
    "/rollouts": {"catalog": "x", "product": "x", "group": "x", "image_ids": ["00000000-0000-0000-0000-000000000001"],
                  "policy": {"cohorts": [100]}},
    "/rollout-approval": {"needed": True},
    "/update-schedule": {
        "check_interval_s": 3600, "zone": "Europe/Berlin", "windows": ["Sat 01:00-05:00"], "max_deferral_s": 60,
    },
    "/update-schedule/urgent": {"reason": "x", "lifetime_s": 600},
}  # fmt: skip


def full_body(key: str, world: World) -> Any:
    """A body with every field of a route."""
    method, template = key.split(" ", 1)
    if method in ("GET", "DELETE"):
        return None
    found = next((body for words, body in FULL.items() if template.endswith(words)), None)
    return body_for(key, world.mine) if found is None else found


def odd_paths(key: str, world: World) -> Iterator[Ask]:
    """Each place of a path in every odd form, everything else being right."""
    method, template = key.split(" ", 1)
    right = world.mine.for_key(key)
    for place in re.findall(r"\{([a-z_]+)\}", template):
        whole = target(template, {**right, place: "ODDPLACE"})
        for odd in PLACES:
            yield Ask(method, whole.replace("ODDPLACE", odd), body_for(key, world.mine))


def other_spellings(key: str, world: World) -> Iterator[tuple[Ask, Ask]]:
    """What is asked with a GET, and the same spelt otherwise: every letter of a path's places percent-encoded."""
    method, template = key.split(" ", 1)
    right = world.mine.for_key(key)
    places = re.findall(r"\{([a-z_]+)\}", template)
    if method == "GET" and places and right.keys() >= set(places):  # public routes are about nobody's rows
        spelt = target(template, {name: f"ODD{name}" for name in right})
        for name in sorted(right, key=len, reverse=True):
            spelt = spelt.replace(f"ODD{name}", "".join(f"%{byte:02X}" for byte in right[name].encode()))
        yield Ask("GET", target(template, right)), Ask("GET", spelt)


def odd_bodies(key: str, world: World) -> Iterator[tuple[str, Ask]]:
    """The name of a field, and a body in which it alone is odd, missing or doubled; of each level."""
    method, template = key.split(" ", 1)
    whole = full_body(key, world)
    if whole is None:
        return
    where = target(template, world.mine.for_key(key))
    for odd in VALUES:
        if not isinstance(odd, dict):
            yield "", Ask(method, where, odd)
    yield "", Ask(method, where, {**whole, "unknown_field": 1})
    for name, made in _with_odd_field(whole):
        yield name, Ask(method, where, made)


def _with_odd_field(body: Any) -> Iterator[tuple[str, Any]]:
    places = body.items() if isinstance(body, Mapping) else enumerate(body) if isinstance(body, list) else ()
    for place, value in places:
        name = str(place)
        for odd in VALUES:
            yield name, _put(body, place, odd)
        for inner, made in _with_odd_field(value):
            yield f"{name}.{inner}", _put(body, place, made)


def _put(body: Any, place: Any, value: Any) -> Any:
    if isinstance(body, Mapping):
        return {**body, place: value}
    return [value if at == place else each for at, each in enumerate(body)]
