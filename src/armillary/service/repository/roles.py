# SPDX-License-Identifier: Apache-2.0
"""The roles of the repository: who delegates to whom, which paths, how long metadata lives.

::

    root ─┬─ timestamp                      online, always: they change daily
          ├─ snapshot                       online, always
          └─ targets ─┬─ os                 os/CHIP/VERSION/COMPONENT, os/trust/IMAGE-ID/STORE
                      ├─ catalogs           catalogs/*/*; online, always: a catalog is made without a ceremony
                      │   └─ catalog-ID     catalogs/ID/IMAGE-ID, one for each catalog that has images
                      └─ director           director/*: keys, and no file; its metadata are the directives

Root, targets, os and catalog-ID may have offline keys, N of M.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.wire.update.trust_store import STORE_NAMES, TRUST_FOLDER

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
OS: Final = "os"
CATALOGS: Final = "catalogs"
DIRECTOR: Final = "director"
CATALOG_PREFIX: Final = "catalog-"

TOP: Final = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)  # those that root gives keys to
# What targets delegates, in this order, and the paths of each; a pattern's * stops at a slash (TUF 1.0.33 §4.5).
DELEGATED: Final = {OS: "os/*/*/*", CATALOGS: "catalogs/*/*", DIRECTOR: "director/*"}
ONLINE_ALWAYS: Final = frozenset({SNAPSHOT, TIMESTAMP, CATALOGS, DIRECTOR})

MAX_KEYS: Final = 16  # of one role: more people than this do not meet for a ceremony
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Terms:
    """How long metadata of a role lives, and with how much left it is renewed; seconds."""

    life_s: int
    renew_s: int


# Short lives limit how long somebody who holds back news can keep a device in the past (freeze attack). Offline roles
# live long: each renewal is a ceremony.
_TERMS: Final = {
    ROOT: Terms(3 * 365 * DAY_S, 365 * DAY_S),
    TARGETS: Terms(3 * 365 * DAY_S, 365 * DAY_S),
    SNAPSHOT: Terms(14 * DAY_S, 7 * DAY_S),
    TIMESTAMP: Terms(2 * DAY_S, DAY_S + DAY_S // 2),
}
_DELEGATED_TERMS: Final = Terms(365 * DAY_S, 180 * DAY_S)
CLOCK_SLACK_S: Final = 3600  # a clock that is corrected by less makes nothing anew
DIRECTIVE_LIFE_S: Final = 7 * DAY_S
DIRECTIVE_RENEW_S: Final = 3 * DAY_S  # a directive is made anew when less than this is left


def terms(role: str) -> Terms:
    """The terms of a role."""
    return _TERMS.get(role, _DELEGATED_TERMS)


def catalog_role(catalog_id: UUID) -> str:
    """The role of a catalog."""
    return f"{CATALOG_PREFIX}{catalog_id}"


def catalog_paths(role: str) -> str:
    """The paths that a catalog's role may sign."""
    return f"catalogs/{role.removeprefix(CATALOG_PREFIX)}/*"


def parent_of(role: str) -> str:
    """The role that gives ``role`` its keys; root gives itself its own."""
    if role in TOP:
        return ROOT
    return TARGETS if role in DELEGATED else CATALOGS


def os_path(chip: str, version: str, component: str) -> str:
    """Target path of an OS component."""
    return f"os/{chip}/{version}/{component}"


def trust_path(kind: str, image_id: UUID) -> str:
    """Target path of a trust store: beside the chips, under the role of the operating systems."""
    return f"os/{TRUST_FOLDER}/{image_id}/{STORE_NAMES[kind]}"


def image_path(catalog_id: UUID, image_id: UUID) -> str:
    """Target path of an application image."""
    return f"catalogs/{catalog_id}/{image_id}"
