# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 - a rehearsal takes every argument of the real sources
"""A fleet for page tests: the console's sources over plain lists, with changes that really change them.

The documents have the fields that api/views gives; tests/console/test_console_service.py checks that against the
real service, so that this rehearsal cannot drift from it.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from tests.console import rehearsed_data
from tests.console.rehearsed_data import GROUPS, TOKENS, device_id, uid
from tests.console.rehearsed_watch import RehearsedWatch

from armillary.console.sources.signed_in import Document, SignedIn
from armillary.errors import NotFoundError, UnauthenticatedError
from armillary.identity.operator import Operator
from armillary.twin.template.value_names import as_fields, unnamed


class RehearsedFleet(RehearsedWatch):
    """All six sources in one object; ``now`` is the present of the rehearsal."""

    def __init__(self, *, devices: int = 64) -> None:
        self.now = int(time.time())
        self.lock = threading.Lock()
        self.revoked_tokens: set[str] = set()
        self.extra_tokens: dict[str, Document] = {}
        self.lines: list[Document] = []
        self.points: asyncio.Queue[Document] | None = None
        sizes = {"coffee-control": 184_320, "gateway-agent": 65_536, "dispenser": 98_304, "cable-meter": 40_960}
        self.images = {uid(name): rehearsed_data.image(self.now, name, size) for name, size in sizes.items()}
        self.all = {
            item["device_id"]: item for item in (rehearsed_data.device(self.now, number) for number in range(devices))
        }
        self.twins: dict[str, Document] = {}
        self.neighbours: list[str] = []  # other catalogs, to offer devices to
        self.roll = [
            rehearsed_data.rollout(self.now, "running"),
            rehearsed_data.rollout(self.now, "completed"),
            rehearsed_data.rollout(self.now, "rolled-back"),
        ]
        self.seen = rehearsed_data.findings(self.now) if devices else []
        self.offers = [
            rehearsed_data.transfer(self.now, 100, of="contoso", to="northwind"),
            rehearsed_data.transfer(self.now, 2),
        ]
        if devices:
            self.all[device_id(2)]["transfer"] = self.offers[1]
        self.enrolments = rehearsed_data.enrolment_tokens(self.now)
        for actor, operation, target in (
            ("first", "token.create", uid("token")),
            ("first", "catalog.create", "northwind"),
            ("maren", "image.upload", uid("coffee-control")),
            ("maren", "rollout.create", uid("rollout running")),
            ("service", "device.refuse", device_id(5)),
        ):
            self._audit(actor, operation, target, {})

    # -- alerts: nothing fires here
    def open_alerts(self) -> Mapping[str, int]:
        return {}

    # -- signing in
    def sign_in(self, secret: str) -> SignedIn:
        if secret in self.extra_tokens:
            token = self.extra_tokens[secret]
            return SignedIn(token["name"], token["role"], None, None, token["token_id"], None, None)
        if secret not in TOKENS or uid(secret) in self.revoked_tokens:
            raise UnauthenticatedError("unknown token")
        return SignedIn(secret.partition("-")[0], TOKENS[secret], None, None, uid(secret), None, None)

    def standing(self, operator: SignedIn) -> SignedIn | None:
        return None if operator.token_id in self.revoked_tokens else operator

    # -- fleet
    def summary(self) -> Document:
        words = ("attested", "update-only", "silent", "refused", "never", "held", "revoked")
        health = {word: sum(1 for item in self.all.values() if item["health"] == word) for word in words}
        opened = [item for item in self.seen if item["status"] == "open"]
        severities = {
            word: sum(1 for item in opened if item["severity"] == word)
            for word in ("info", "low", "medium", "high", "critical")
        }
        return {"devices": len(self.all), "health": health, "open_findings": severities}

    def devices(self, wanted: Mapping[str, str], *, after: str | None, limit: int, order: str = "") -> Document:
        sought = wanted.get("search", "").lower()
        items = [
            item
            for at, item in sorted(self.all.items())
            if (order or at > (after or ""))
            and (sought in item["name"].lower() or at.startswith(sought))
            and all(item[name] == wanted[name] for name in ("health", "group", "product", "chip") if name in wanted)
        ]
        if not order:
            return {"items": items[:limit], "next": items[limit - 1]["device_id"] if len(items) > limit else None}
        word, begin = order.removeprefix("-"), int(after or 0)
        items.sort(key=lambda item: str(item[word] or ""), reverse=order.startswith("-"))
        return {"items": items[begin : begin + limit], "next": str(begin + limit) if items[begin + limit :] else None}

    def labels(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        return {each: self.all[each]["name"] if each in self.all else each[:12] for each in device_ids}

    def groups(self) -> list[str]:
        return sorted({group for _, group in GROUPS})

    def device(self, device_id: str) -> Document:
        if found := self.all.get(device_id):
            return found
        raise NotFoundError(f"no device {device_id[:16]}", remedy="Check the id.")

    def records(self, device_id: str, *, limit: int) -> Document:
        device = self.all[device_id]
        if device["last_check_in_at"] is None:
            return {"check_ins": [], "refusals": [], "outcomes": [], "error_reports": [], "findings": []}
        bad = device["health"] in ("update-only", "held")
        check_ins = [
            {
                "number": 100 - number,
                "at": device["last_check_in_at"] - number * 3600,
                "verdict": "update-only" if bad and number == 0 else "attested",
                "steps": rehearsed_data.steps((17 if device["held_at"] else 13) if bad and number == 0 else None),
                "boot_count": device["boot_count"],
                "os_version": "" if bad and number == 0 else "24.06",
                "certificate_serial": "0A" * 16,
                "certificate_not_after": device["last_check_in_at"] + 86400,
                "purpose": "update" if bad and number == 0 else "client",
                "offer_id": None,
                "deployment_id": None,
            }
            for number in range(6)
        ]
        refusals = []
        if device["last_refused_at"]:
            refusals = [
                {
                    "at": device["last_refused_at"],
                    "code": device["last_refusal"],
                    "message": "the challenge was used before",
                    "count": 3,
                }
            ]
        reports = [
            {
                "event_type": "AppCrash",
                "description": "AppCrash (exit_status=11; signal_status=11; signal_code=3; component_id=bf73; image_id=11ec)",
                "component_id": uid("component coffee-control"),
                "count": 2,
                "start": self.now - 7000,
                "end": self.now - 5200,
                "received_at": self.now - 4000,
            },
            {
                "event_type": "ConnectionBlocked",
                "description": "connection to telemetry.example.org:443 blocked: not in AllowedConnections",
                "component_id": uid("component gateway-agent"),
                "count": 14,
                "start": self.now - 9000,
                "end": self.now - 8000,
                "received_at": self.now - 4000,
            },
        ]
        outcomes = [
            {
                "at": self.now - 86000,
                "outcome": "confirmed",
                "image_id": uid("coffee-control"),
                "name": "coffee-control 1.3",
                "reason": "coffee-control 1.3 passed its trial",
            }
        ]
        about = [item for item in self.seen if device_id in item["device_ids"]]
        return {
            "check_ins": check_ins,
            "refusals": refusals,
            "outcomes": outcomes,
            "error_reports": reports,
            "findings": about,
        }

    def software(self, device: Document) -> Document:
        return {
            "images": self.images,
            "releases": self.releases(),
            "deployment": {"status": "up-to-date", "reason": "The device runs exactly the deployment's images."},
        }

    def revoke(self, operator: Operator, device_id: str, reason: str) -> None:
        self.all[device_id].update(health="revoked", revoked_at=self.now, revoked_reason=reason)
        self._audit(operator.name, "device.revoke", device_id, {"reason": reason})

    def restore(self, operator: Operator, device_id: str) -> None:
        self.all[device_id].update(health="attested", revoked_at=None, revoked_reason="")
        self._audit(operator.name, "device.restore", device_id, {})

    def release(self, operator: Operator, device_id: str) -> None:
        self.all[device_id].update(health="attested", held_at=None)
        self._audit(operator.name, "device.release", device_id, {})

    def quarantine(self, operator: Operator, device_id: str, reason: str) -> None:
        until = {"quarantined_until": None, "quarantine_reason": reason}
        self.all[device_id].update(health="quarantined", quarantined_at=self.now, **until)
        self._audit(operator.name, "device.quarantine", device_id, {"reason": reason})

    def decommission(self, operator: Operator, device_id: str, reason: str) -> None:
        self.all[device_id].update(
            health="revoked", revoked_at=self.now, revoked_reason=reason, decommissioned_at=self.now,
            catalog=None, product=None, group=None, transfer=None,
        )  # fmt: skip
        self._audit(operator.name, "device.decommission", device_id, {"reason": reason})

    def offer(self, operator: Operator, device: Document, to_catalog_id: str) -> None:
        made = {**rehearsed_data.transfer(self.now, 7), "device_id": device["device_id"], "created_by": operator.name}
        self.all[device["device_id"]]["transfer"] = made
        self._audit(operator.name, "device.transfer-offer", device["device_id"], {"to": to_catalog_id})

    # -- hub
    def connected(self, device_id: str) -> bool | None:
        return self.all[device_id]["health"] == "attested"

    def last_values(self, device_id: str) -> list[Document]:
        if self.all[device_id]["last_check_in_at"] is None:
            return []
        at = self.now * 1000 - 4000
        return [
            {"metric": "boiler_celsius", "value": 92.4, "at_ms": at},
            {"metric": "pressure_bar", "value": 9.1, "at_ms": at},
            {"metric": "cups", "value": 18422, "at_ms": at - 40_000},
            {"metric": "water_percent", "value": 61, "at_ms": at - 5_400_000},
            {"metric": "door_open", "value": False, "at_ms": at},
            {"metric": "state", "value": "idle", "at_ms": at},
        ]

    def called(self, device_id: str) -> Callable[[str], Document]:
        return lambda metric: as_fields(unnamed(metric))

    def series(self, device_id: str, metric: str, start_ms: int, end_ms: int, max_points: int) -> list[list[Any]]:
        count = 180
        step = (end_ms - start_ms) // count
        wave = [92 + ((number * 7919) % 23) / 10 + (6 if number % 60 < 8 else 0) for number in range(count)]
        return [[start_ms + number * step, round(value, 2)] for number, value in enumerate(wave[: count - 2])]

    def twin(self, device_id: str) -> Document:
        return self.twins.setdefault(
            device_id,
            {
                "desired": {"strength": 3, "eco_mode": True, "descale_after_cups": 2000, "$version": 7},
                "reported": {"strength": 3, "eco_mode": False, "firmware": "coffee-control 1.4", "$version": 19},
            },
        )

    def ask(self, question: str, **arguments: Any) -> Document:
        """What pages of one device ask beside its sources: no alert, no rule, no template, no log."""
        if question == "show_device_template":
            return {"template": None, "is_missing": False, "cloud_properties": {}}
        if question == "show_device_log":
            device_id, nothing = arguments["device_id"], {"refused": "", "request": None, "answer": None}
            return {"device_id": device_id, "state": "never", "answers": True, **nothing}
        if question == "show_cellular_status":
            return {"device_id": arguments["device_id"], "status": None}
        if question == "show_containment":
            return {"applications": rehearsed_data.HELD_APPLICATIONS}
        return {"items": [], "next": None}

    async def listen(self, device_id: str) -> AsyncIterator[Document]:
        self.points = asyncio.Queue()
        while True:
            yield await self.points.get()

    # -- updates
    def rollouts(self, *, after: str | None, limit: int, state: str | None = None, rising: bool = False) -> Document:
        found = [each for each in self.roll if state in (None, each["state"])]
        return {"items": found[::-1] if rising else found, "next": None}

    def rollout(self, rollout_id: str) -> Document:
        for item in self.roll:
            if item["rollout_id"] == rollout_id:
                return item
        raise NotFoundError("no such roll-out", remedy="Check the id.")

    def troubles(self, rollout_id: str, *, limit: int) -> list[Document]:
        return rehearsed_data.troubles(self.now, self.rollout(rollout_id))

    def change(self, operator: Operator, rollout_id: str, verb: str, reason: str) -> None:
        item = self.rollout(rollout_id)
        item["state"] = {"halt": "held", "resume": "running", "roll-back": "rolling-back"}[verb]
        item["reason"] = "" if verb == "resume" else reason
        item["changed_at"] = self.now
        self._audit(operator.name, f"rollout.{verb}", rollout_id, {"reason": reason})

    # -- settings
    def audit_lines(
        self, *, after: str | None, limit: int, target: str | None = None, rising: bool = False, **_: Any
    ) -> Document:
        found = [each for each in (self.lines if rising else reversed(self.lines)) if target in (None, each["target"])]
        return {"items": found[:limit], "next": None}

    def audit_verification(self) -> Document:
        head = self.lines[-1]["hash"]
        return {
            "lines": len(self.lines),
            "head": head,
            "broken_at": None,
            "root": head,
            "forked_at": None,
            "releases_forked_at": None,
        }

    def catalogs(self) -> list[Document]:
        groups = [
            {
                "product": product,
                "name": group,
                "os_feed": "Retail" if group != "Kitchen pilot" else "RetailEval",
                "update_policy": "UpdateAll",
                "deployment_id": uid(f"deployment {group}") if group != "Depot" else None,
            }
            for product, group in GROUPS
        ]
        certificate = {
            "serial": "4A" * 17,
            "subject": "CN=northwind catalog CA",
            "status": "Active",
            "not_after": self.now + 700 * 86400,
        }
        if not self.all:
            return []
        policy = rehearsed_data.attestation_policy(self.now)
        return [
            {
                "catalog_id": uid("northwind"),
                "name": "northwind",
                "groups": groups,
                "certificates": [certificate],
                "attestation_policy": policy,
            },
            *(
                {
                    "catalog_id": uid(name),
                    "name": name,
                    "groups": [],
                    "certificates": [certificate],
                    "attestation_policy": {**policy, "catalog": name},
                }
                for name in self.neighbours
            ),
        ]

    def catalog_names(self) -> list[Document]:
        return [{"catalog_id": each["catalog_id"], "name": each["name"]} for each in self.catalogs()]

    def transfers(self, catalog: str, *, after: str | None, limit: int) -> Document:
        waiting = [item for item in self.offers if item["state"] == "offered"]
        mine = [item for item in waiting if catalog in (item["from_catalog"], item["to_catalog"])]
        start = int(after or 0)
        return {"items": mine[start : start + limit], "next": str(start + limit) if mine[start + limit :] else None}

    def answer_transfer(self, operator: Operator, catalog: str, transfer_id: str, verb: str) -> None:
        (found,) = [item for item in self.offers if item["transfer_id"] == transfer_id]
        assert found["from_catalog" if verb == "cancel" else "to_catalog"] == catalog
        found["state"] = {"accept": "accepted", "decline": "declined", "cancel": "cancelled"}[verb]
        self._audit(operator.name, f"device.transfer-{verb}", found["device_id"], {"catalog": catalog})

    def enrolment_tokens(self, catalog: str) -> list[Document]:
        return self.enrolments if catalog == "northwind" else []

    def create_enrolment_token(self, operator: Operator, catalog: str, wish: Document) -> Document:
        number = len(self.enrolments)
        group = {"product": wish.get("product", ".default"), "group": wish.get("group", ".unassigned")}
        made = rehearsed_data.enrolment_token(
            self.now,
            number,
            **group,
            chip=wish.get("chip", ""),
            uses=wish["uses"],
            created_at=self.now,
            created_by=operator.name,
            expires_at=self.now + wish["lifetime_s"],
        )
        self.enrolments.append(made)
        self._audit(operator.name, "enrolment-token.create", made["token_id"], {"catalog": catalog})
        return {"token": made, "secret": f"arme_{uid(f'secret {number}')}"}

    def revoke_enrolment_token(self, operator: Operator, catalog: str, token_id: str) -> None:
        (found,) = [item for item in self.enrolments if item["token_id"] == token_id]
        found["revoked_at"] = self.now
        self._audit(operator.name, "enrolment-token.revoke", token_id, {"catalog": catalog})

    def releases(self) -> list[Document]:
        parts = [
            {
                "name": name,
                "image_type": number,
                "component_id": uid(name),
                "image_id": uid(name + " image"),
                "digest": hashlib.sha256(name.encode()).hexdigest(),
                "security_version": 4,
                "size": size,
            }
            for number, (name, size) in enumerate(
                (
                    ("1st boot loader", 16_384),
                    ("secure monitor", 122_880),
                    ("security service", 204_800),
                    ("OS kernel", 3_145_728),
                    ("system software", 5_242_880),
                )
            )
        ]
        return [
            {
                "release_id": uid("24.06"),
                "chip": "mt3620",
                "version": "24.06",
                "feed": "Retail",
                "components": parts,
                "created_at": self.now - 9 * 86400,
                "expires_at": None,
                "withdrawn_at": None,
                "withdrawn_reason": None,
                "imported_from": None,
            }
        ]

    def tokens(self) -> list[Document]:
        known = [
            {
                "token_id": uid(secret),
                "name": secret.partition("-")[0],
                "role": role,
                "created_at": self.now - 864000,
                "created_by": "first",
                "expires_at": None,
                "last_used_at": self.now - 20,
                "revoked_at": self.now if uid(secret) in self.revoked_tokens else None,
            }
            for secret, role in TOKENS.items()
        ]
        return known + list(self.extra_tokens.values())

    def create_token(self, operator: Operator, name: str, role: str) -> Document:
        secret = f"arm_{uid(name + str(len(self.extra_tokens)))}"
        token = {
            "token_id": uid(secret),
            "name": name,
            "role": role,
            "created_at": self.now,
            "created_by": operator.name,
            "expires_at": None,
            "last_used_at": None,
            "revoked_at": None,
        }
        self.extra_tokens[secret] = token
        self._audit(operator.name, "token.create", token["token_id"], {"role": role})
        return {"token": token, "secret": secret}

    def revoke_token(self, operator: Operator, token_id: str) -> None:
        self.revoked_tokens.add(token_id)
        for token in self.extra_tokens.values():
            if token["token_id"] == token_id:
                token["revoked_at"] = self.now
        self._audit(operator.name, "token.revoke", token_id, {})

    # -- making the data
    def _audit(self, actor: str, operation: str, target: str, detail: Document) -> None:
        previous = self.lines[-1]["hash"] if self.lines else "00" * 32
        number = len(self.lines) + 1
        digest = hashlib.sha256(f"{previous}{actor}{operation}{target}".encode()).hexdigest()
        self.lines.append(
            {
                "number": number,
                "at": self.now - max(0, 5 - number) * 3000,
                "actor": actor,
                "operation": operation,
                "target": target,
                "detail": detail,
                "previous_hash": previous,
                "hash": digest,
            }
        )
