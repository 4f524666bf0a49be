# SPDX-License-Identifier: Apache-2.0
"""Events of the device for applications that ask for them: updates, the network, the time, the certificate.

What happens is heard from the device's own log, so that no part of the device has to know who listens. An update that
would begin is announced first: where a listener may put it off, it has :data:`ANNOUNCED_S` to say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from armillary.device.interface.method import Call, Method
from armillary.device.interface.session import Notify, Session
from armillary.update.schedule import deferral
from armillary.wire.device.checkin import Offer

CAPABILITY = "SystemEventNotifications"
# From the event to the begin, for applications that may defer: as long as a program needs to answer.
ANNOUNCED_S = 10
KINDS = ("update", "network", "time", "authentication", "restart")
# Event in the device's log -> state of the update, and the fields that applications are told.
_UPDATES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "update-waits": ("waits", ("reason", "until")),
    "update-offered": ("started", ("os_version", "images")),
    "update-started": ("trial", ("os_version", "images")),
    "update-confirmed": ("confirmed", ()),
    "update-reverted": ("reverted", ("reason",)),
    "update-refused": ("refused", ("reason",)),
    "update-postponed": ("postponed", ("reason",)),
}


class SystemEvents:
    """Who listens to what, and what the last of each kind was.

    ``signed`` says whether the device has the time from its service, ``ready`` whether there is a certificate for
    applications.
    """

    def __init__(self, signed: Callable[[], bool] = lambda: False, ready: Callable[[], bool] = lambda: False) -> None:
        self._signed = signed
        self._ready = ready
        self._listening: WeakKeyDictionary[Session, dict[Notify, frozenset[str]]] = WeakKeyDictionary()
        self._last: dict[str, Mapping[str, Any]] = {
            "update": {"state": "none"},
            "network": {"service": "unknown"},
            "time": {"signed": False},
            "authentication": {"ready": False},
            "restart": {"state": "none"},
        }

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("events.subscribe", CAPABILITY, self._subscribe),
            Method("events.unsubscribe", CAPABILITY, self._unsubscribe),
        )

    def hear(self, entry: Mapping[str, object]) -> None:
        """Take note of an entry of the device's log."""
        event = str(entry.get("event"))
        if event in _UPDATES:
            state, fields = _UPDATES[event]
            self._tell("update", {"state": state} | {name: entry[name] for name in fields if name in entry})
        elif event == "restarting":
            self._tell("restart", {"state": "restarting"})
        elif event in ("check-in", "check-in-failed"):
            self._changed("network", {"service": "reached" if event == "check-in" else "not reached"})
            self._changed("time", {"signed": self._signed()})
            self._changed("authentication", {"ready": self._ready()})

    def announce(self, offer: Offer) -> int:
        """An update would begin now: tell; the seconds for which it is to be held for applications that may defer."""
        images = [str(image.image_id) for image in offer.images]
        self._tell("update", {"state": "pending", "os_version": offer.os_version, "images": images})
        may_defer = any(
            deferral.CAPABILITY in session.grant.privileges
            for session, asked in self._listening.items()
            if any("update" in kinds for kinds in asked.values())
        )
        return ANNOUNCED_S if may_defer else 0

    def _changed(self, kind: str, data: Mapping[str, Any]) -> None:
        if self._last[kind] != data:
            self._tell(kind, data)

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        self._last[kind] = data
        for asked in list(self._listening.values()):
            for notify, kinds in list(asked.items()):
                if kind in kinds:
                    notify(kind, data)

    async def _subscribe(self, call: Call) -> Mapping[str, Any]:
        """From now on this connection hears of these kinds; the answer has the last of each."""
        wanted = call.parameters.items("kinds", most=len(KINDS), default=True) or KINDS
        call.parameters.finish()
        for kind in wanted:
            if kind not in KINDS:
                raise call.parameters.refused("kinds", f"some of {', '.join(KINDS)}", kind)
        asked = self._listening.setdefault(call.session, {})
        if call.notify not in asked:
            call.on_disconnect(partial(asked.pop, call.notify, None))
        asked[call.notify] = frozenset(wanted)
        return {kind: self._last[kind] for kind in wanted}

    async def _unsubscribe(self, call: Call) -> None:
        call.parameters.finish()
        asked = self._listening.get(call.session, {})
        if call.notify in asked:  # it stays known until the connection ends
            asked[call.notify] = frozenset()
