# SPDX-License-Identifier: Apache-2.0
"""``armillary completion-names KIND TYPED [WORD...]``: names in the service that a shell offers for what is typed.

The scripts of the shells call it; people do not. It prints a line for each name, after a tab what tells it from others.
Where there is no service, no login or no answer in time it prints nothing, and it never says what went wrong: a person
is writing a command line. Answers are kept for a short while, so that a second Tab asks nobody.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from armillary.cli.terminal.connection import Connection, resolve
from armillary.cli.terminal.exchange import Exchange, with_query
from armillary.cli.terminal.management import API_VERSION, SUBSCRIPTION
from armillary.errors import ArmillaryError

# From the start of the work to the end of the process (seconds): a shell waits for it.
WITHIN_S: Final = 0.35
# For so long an answer is given again (seconds).
KEPT_S: Final = 30.0
# Names that are offered.
OFFERED: Final = 100
# Digits of a long id, as tables show it (``terminal/device_reference.py``, which loads more than there is time for).
SHORT_DIGITS: Final = 12
_ATTESTED: Final = re.compile(r"[0-9a-f]{128}")
_CATALOGS: Final = "/providers/Microsoft.AzureSphere/catalogs"
CATALOG_OPTIONS: Final = ("--catalog", "-c")
CATALOG_VARIABLE: Final = "ARMILLARY_CATALOG"

Asks = Callable[[str], Any]
# A name, and what tells it from others.
Offer = tuple[str, str]


def main(arguments: Sequence[str]) -> None:
    """Print what is offered, and end within :data:`WITHIN_S`, whatever the service or the network do."""
    late = threading.Timer(WITHIN_S, os._exit, (0,))  # a thread: nothing else ends a lookup of a host's name
    late.daemon = True
    late.start()
    kind, typed, *words = arguments if len(arguments) > 1 else ("", "")
    found = offers(kind, unquoted(typed), [unquoted(word) for word in words], os.environ)
    late.cancel()
    sys.stdout.write("".join(f"{name}\t{about}\n" for name, about in found))


def offers(kind: str, typed: str, words: Sequence[str], environment: Mapping[str, str]) -> list[Offer]:
    """What can stand where ``typed`` is, for a kind of :data:`KINDS`; nothing where the service cannot be asked."""
    look = KINDS.get(kind)
    if look is None:
        return []
    try:
        connection = resolve(None, None, None, environment)
        catalog = named_catalog(words) or environment.get(CATALOG_VARIABLE) or connection.catalog
        key = [connection.service, connection.token, kind, catalog, typed if kind == "device" else ""]
        kept = Kept(kept_folder(environment), key)
        known = kept.read(time.time())
        if known is None:
            known = _asked(connection, lambda ask: look(ask, catalog, typed))
            kept.write(known, time.time())
    except (ArmillaryError, OSError, ValueError, KeyError, TypeError):
        return []
    wanted = typed.casefold()
    matching = [(name, about) for name, about in known if name.casefold().startswith(wanted)]
    # a terminal would obey what is not printable, and a line ends a name
    return [(name, about if about.isprintable() else "") for name, about in matching if name and name.isprintable()]


def unquoted(word: str) -> str:
    """A word of a command line as the command gets it; the one that is typed may lack its closing quotation mark."""
    try:
        return " ".join(shlex.split(word))
    except ValueError:
        return word.lstrip("'\"").replace("\\", "")


def named_catalog(words: Sequence[str]) -> str:
    """The catalog that a command line names, "" where it names none."""
    for option, value in pairwise(words):
        if option in CATALOG_OPTIONS:
            return value
    return next((word.partition("=")[2] for word in words if word.startswith("--catalog=")), "")


def _asked(connection: Connection, look: Callable[[Asks], list[Offer]]) -> list[Offer]:
    exchange = Exchange(connection)
    try:
        return look(lambda target: exchange.call("GET", target)[2])
    finally:
        exchange.close()


def _devices(ask: Asks, catalog: str, typed: str) -> list[Offer]:
    query = {"search": typed or None, "catalog": catalog or None, "limit": OFFERED}
    found = ask(with_query("/api/v1/devices", query))["items"]
    offered: list[Offer] = []
    for each in found:
        name, device_id = each.get("name") or "", each["device_id"]
        shown = device_id[:SHORT_DIGITS] if _ATTESTED.fullmatch(device_id) else device_id
        offered += [(name, shown), (shown, name)] if name else [(shown, "")]
    return offered


def _catalogs(ask: Asks, _: str, __: str) -> list[Offer]:
    found = ask(_managed(_CATALOGS))["value"]
    return [(each["name"], "catalog") for each in found[:OFFERED]]


def _products(ask: Asks, catalog: str, _: str) -> list[Offer]:
    name = catalog or _only([each for each, _ in _catalogs(ask, "", "")])
    found = ask(_managed(f"/resourceGroups/default{_CATALOGS}/{quote(name, safe='')}/products"))["value"]
    return [(each["name"], (each.get("properties") or {}).get("description") or "product") for each in found[:OFFERED]]


def _managed(path: str) -> str:
    return with_query(f"/subscriptions/{SUBSCRIPTION}{path}", {"api-version": API_VERSION})


def _only(names: Sequence[str]) -> str:
    if len(names) != 1:
        raise ValueError("no catalog is named")
    return names[0]


def _documents(path: str) -> Callable[[Asks, str, str], list[Offer]]:
    def look(ask: Asks, catalog: str, _: str) -> list[Offer]:
        found = ask(with_query(f"/api/v1/{path}", {"catalog": catalog or None}))["items"]
        return [(each["id"], each["body"].get("name") or "") for each in found[:OFFERED]]

    return look


KINDS: Final[Mapping[str, Callable[[Asks, str, str], list[Offer]]]] = {
    "catalog": _catalogs,
    "dashboard": _documents("dashboards"),
    "device": _devices,
    "product": _products,
    "rule": _documents("rules"),
    "segment": _documents("groups"),
}


def kept_folder(environment: Mapping[str, str]) -> Path:
    """Where answers are kept: ``$XDG_CACHE_HOME/armillary/names``."""
    home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".cache")
    return Path(home) / "armillary" / "names"


class Kept:
    """An answer in a file of its own, which names neither the service nor the token that it was given to."""

    def __init__(self, folder: Path, key: Sequence[str]) -> None:
        self._folder = folder
        self._path = folder / sha256(json.dumps(key).encode()).hexdigest()[:32]

    def read(self, now: float) -> list[Offer] | None:
        """The answer, None where there is none or it is too old."""
        try:
            if not 0 <= now - self._path.stat().st_mtime < KEPT_S:
                return None
            return [(str(name), str(about)) for name, about in json.loads(self._path.read_bytes())]
        except (OSError, ValueError, TypeError):
            return None

    def write(self, offers: Sequence[Offer], now: float) -> None:
        """Keep an answer; a full disk or a folder of another is no fault."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._clear(now)
            handle, name = tempfile.mkstemp(dir=self._folder)  # mode 0600
            with os.fdopen(handle, "w", encoding="ascii") as file:
                json.dump(offers, file)
            Path(name).replace(self._path)
        except OSError:
            return

    def _clear(self, now: float) -> None:
        for each in self._folder.iterdir():
            if now - each.stat().st_mtime > KEPT_S:
                each.unlink(missing_ok=True)
