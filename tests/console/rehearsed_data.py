# SPDX-License-Identifier: Apache-2.0
"""The documents that a rehearsed fleet begins with: a device, a roll-out, findings, as the API gives them."""

from __future__ import annotations

import hashlib
import uuid

from armillary.attest.appraise import STEPS
from armillary.console.sources.signed_in import Document

# What the service says of a failed step.
FAILURES = {
    13: "OS kernel: its digest belongs to no release of mt3620",
    17: "The proof continues neither the newest reply nor the one before: two machines hold this identity.",
}
NAMESPACE = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
TOKENS = {"admin-secret": "Administrator", "contributor-secret": "Contributor", "reader-secret": "Reader"}
GROUPS = (
    ("Coffee machine", "Kitchen pilot"),
    ("Coffee machine", "Production"),
    ("Sanitiser", "Wards"),
    ("Smart cable", "Depot"),
)
HELD_APPLICATIONS = [
    {
        "name": "coffee-control", "known": True, "held_by": [
            {"granted": "connections", "value": "hub.example.com", "mechanism": "network-broker", "held": True, "why": ""},
            {"granted": "memory", "value": "256 MiB", "mechanism": "memory-limit", "held": False, "why": "no control groups"},
        ],
    },
    {"name": "sideloaded", "known": False, "held_by": []},
]  # fmt: skip
HOST_MECHANISMS = (
    ("mount namespace", "enforced"),
    ("pid namespace", "enforced"),
    ("user namespace", "enforced"),
    ("seccomp", "enforced"),
    ("landlock", "enforced"),
    ("network namespace", "enforced"),
    ("cgroup memory", "missing: no delegated cgroup on this host; an application can use all memory"),
    ("cgroup cpu", "missing: no delegated cgroup on this host; an application can use all processors"),
)


def uid(name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, name))


def device_id(number: int) -> str:
    return hashlib.sha512(f"device {number}".encode()).hexdigest()


def image(now: int, name: str, size: int) -> Document:
    hosts = {
        "coffee-control": ["api.northwind.example"],
        "gateway-agent": ["api.northwind.example", "time.northwind.example"],
    }
    return {
        "image_id": uid(name),
        "name": name,
        "version": "",
        "size": size,
        "built_at": now - 20 * 86400,
        "allowed_connections": hosts.get(name, []),
    }


# Devices that somebody named; all others are called by their product and id.
NAMED = {3: "Lobby, coffee 2", 5: "Ward 7 dispenser", 17: "Bäckerei Nord"}


def device(now: int, number: int) -> Document:
    health = {3: "silent", 5: "refused", 8: "update-only", 13: "never", 21: "revoked", 34: "silent"}.get(
        number, "attested"
    )
    product, group = GROUPS[number % len(GROUPS)]
    seen = {"silent": now - 3 * 86400, "never": None}.get(health, now - 60 - (number * 613) % 3500)
    names = ("coffee-control", "gateway-agent", "cable-meter") if number % 4 < 2 else ("dispenser",)
    installed = [
        {
            "component_id": uid(f"component {name}"),
            "image_id": uid(name),
            "image_type": 10,
            "name": name,
            "state": "failed" if number == 17 and name == "gateway-agent" else "running",
        }
        for name in names
    ]
    called = NAMED.get(number)
    return {
        "name": called or f"{product} {device_id(number)[:8]}", "is_named": called is not None,
        "device_id": device_id(number), "chip": "mt3620", "chip_sku": "MT3620AN", "trust_tier": ("software", "tpm", "simulated")[number % 3],
        "manufacturing_state": "DeviceComplete", "enrolled_at": now - 30 * 86400, "catalog_id": uid("northwind"), "catalog": "northwind",
        "product": product, "group": group, "group_id": uid(group), "claimed_at": now - 29 * 86400,
        "revoked_at": now - 7200 if health == "revoked" else None, "revoked_reason": "stolen from the depot" if health == "revoked" else "",
        "health": health, "verdict": None if seen is None else ("update-only" if health == "update-only" else "attested"),
        "last_check_in_at": seen, "last_refused_at": now - 300 if health == "refused" else None, "last_refusal": "device.challenge" if health == "refused" else "",
        "boot_count": 3 + number % 7, "os_version": "" if seen is None or health == "update-only" else "24.06", "sandbox": "" if seen is None else "linux",
        "installed": [] if seen is None else installed, "enforcement": [] if seen is None else [list(pair) for pair in HOST_MECHANISMS],
        "certificate_serial": "", "certificate_not_after": None if seen is None else seen + 86400, "offered_deployment_id": None, "last_update_at": None if seen is None else now - 86000,
        "last_attested_at": None if seen is None else (seen - 3600 if health == "update-only" else seen), "held_at": None, "decommissioned_at": None, "reprovision_until": None, "transfer": None,
    }  # fmt: skip


def transfer(now: int, number: int, state: str = "offered", *, of: str = "northwind", to: str = "contoso") -> Document:
    done = None if state == "offered" else now - 3 * 86400
    return {
        "transfer_id": uid(f"transfer {number}"), "device_id": device_id(number), "from_catalog_id": uid(of), "from_catalog": of,
        "to_catalog_id": uid(to), "to_catalog": to, "state": state, "created_at": now - (7200 if done is None else 4 * 86400),
        "created_by": "maren", "expires_at": now + 6 * 86400 + 60, "settled_at": done, "settled_by": "" if done is None else "jo",
    }  # fmt: skip


def attestation_policy(now: int) -> Document:
    return {
        "catalog": "northwind",
        "version": 3,
        "minimum_tier": "software",
        "chips": ["mt3620"],
        "minimum_security_versions": {"4": 4},
        "older_releases_until": now + 40 * 86400,
        "maximum_release_age_days": 365,
        "firmware_log": False,
        "mechanisms": [],
        "changed_at": now - 86400,
        "changed_by": "admin",
    }


def enrolment_token(now: int, number: int, **change: object) -> Document:
    return {
        "token_id": uid(f"enrolment {number}"), "catalog_id": uid("northwind"), "catalog": "northwind", "product": "Coffee machine", "group": "Kitchen pilot",
        "group_id": uid("Kitchen pilot"), "chip": "", "uses": 1, "used": 0, "created_at": now - 600, "created_by": "maren", "expires_at": now + 3000, "revoked_at": None, **change,
    }  # fmt: skip


def enrolment_tokens(now: int) -> list[Document]:
    return [
        enrolment_token(now, 0, used=1, created_at=now - 90_000, expires_at=now - 80_000),
        enrolment_token(now, 1, uses=5, created_at=now - 80_000, revoked_at=now - 70_000),
        enrolment_token(now, 2, uses=40, used=12, expires_at=now + 6 * 86400, chip="mt3620"),
        enrolment_token(now, 3, product=".default", group=".unassigned"),
    ]


def hold(now: int, item: Document) -> None:
    """As the service leaves a device of which a copy was found."""
    item.update(
        held_at=now - 7200, last_attested_at=now - 7500, health="held", verdict="update-only", os_version="24.06"
    )


def steps(failing: int | None) -> list[Document]:
    made = []
    for number, name, prevents in STEPS:
        result = "fail" if number == failing else ("not-run" if failing and number > failing else "pass")
        detail = FAILURES[number] if number == failing else ""
        made.append({"number": number, "name": name, "prevents": prevents, "result": result, "detail": detail})
    return made


def rollout(now: int, state: str) -> Document:
    cohorts = {
        "running": [
            (5, {"confirmed": 60}),
            (25, {"confirmed": 172, "offered": 41, "started": 19, "reverted": 3, "failed": 5, "waiting": 0}),
            (100, {"waiting": 904}),
        ],
        "completed": [(10, {"confirmed": 32}), (100, {"confirmed": 288})],
        "rolled-back": [(10, {"restored": 32}), (100, {"waiting": 288})],
    }[state]
    failures = {"running": (0, 8, 0), "completed": (0, 0), "rolled-back": (11, 0)}[state]
    happened = [
        ("hold", "planner", "5 of 32 devices failed", uid("application-crashed")),
        ("roll-back", "maren", "bad", None),
    ]
    counts: dict[str, int] = {}
    for _, part in cohorts:
        for word, count in part.items():
            counts[word] = counts.get(word, 0) + count
    name = {"running": "coffee-control", "completed": "dispenser", "rolled-back": "dispenser"}[state]
    product, group = {"running": GROUPS[1]}.get(state, GROUPS[2])
    return {
        "rollout_id": uid(f"rollout {state}"), "further": [], "catalog": "northwind", "product": product, "group": group, "deployment_id": uid(f"deployment {state}"),
        "previous_deployment_id": uid("deployment before"), "state": state, "cohort": 1 if state != "rolled-back" else 0, "cohort_started_at": now - 5000,
        "policy": {"rings": [], "cohorts": [percent for percent, _ in cohorts], "false_hold_percent": 1, "lease_s": 86400, "success_percent": 95, "soak_s": 3600, "min_failures": 2, "failure_percent": 5, "timeout_s": 86400, "hold_on_severity": "high", "roll_back_on_hold": False},
        "reason": "5 of 32 devices failed" if state == "rolled-back" else "", "created_at": now - 9000, "created_by": "maren", "changed_at": now - 600,
        "counts": counts, "due": 0, "reached_at": None, "cohorts": [{"name": f"to {percent}%", "counts": part, "failed": failed} for (percent, part), failed in zip(cohorts, failures, strict=True)], "failed": sum(failures),
        "history": [{"at": now - 700, "actor": actor, "event": event, "reason": reason, "finding_id": finding, "finding_status": "open"} for event, actor, reason, finding in happened] if state == "rolled-back" else [],
         "images": [{"image_id": uid(name), "name": name}],
    }  # fmt: skip


def troubles(now: int, rollout: Document) -> list[Document]:
    """Two of the devices that failed in it."""
    back = rollout["state"] == "rolled-back"
    said = (
        (9, "reverted", now - 3000, "coffee-control exited with 11 during its trial"),
        (12, "failed", now - 2500, "no room: 1.2 MiB needed, 0.8 MiB free"),
    )
    return [
        {
            "device_id": device_id(number),
            "cohort": 1,
            "state": "restored" if back else failure,
            "failure": failure,
            "started_at": now - 4000,
            "finished_at": at,
            "reason": reason,
        }
        for number, failure, at, reason in (said if rollout["failed"] else ())
    ]


def findings(now: int) -> list[Document]:
    made = []
    for number, (kind, severity, title, cause, proposed) in enumerate(
        (
            (
                "attestation-failed",
                "critical",
                "A device booted a kernel that nobody released",
                "Step 13 failed: the OS kernel's digest belongs to no release of mt3620",
                "Take the device out of service and recover it from release 24.06",
            ),
            (
                "proof-replayed",
                "high",
                "A proof was presented a second time",
                "The same challenge was used 3 times from one address",
                "Look for a machine on the device's network that copies its traffic",
            ),
            (
                "application-crashed",
                "medium",
                "coffee-control crashes again and again",
                "14 crashes with signal 11 in the last hour on 2 devices",
                "Halt the roll-out and look at the crash reports",
            ),
            (
                "containment-weak",
                "low",
                "No memory limit on 41 devices",
                "Their hosts delegate no cgroup",
                "Delegate a cgroup to the device service, or accept it",
            ),
        )
    ):
        made.append(
            {
                "finding_id": uid(kind), "kind": kind, "severity": severity, "title": title, "cause": cause, "device_ids": [device_id(8 if number == 0 else 5), device_id(9)][: 1 + number // 2],
                "device_count": (1, 1, 2, 41)[number], "proposed_action": proposed, "status": "open", "count": (1, 3, 14, 41)[number],
                "first_seen": now - 9000 * (number + 1), "last_seen": now - 400 * (number + 1), "rollout_id": uid("rollout running") if number == 2 else None,
                "catalog_id": uid("northwind"), "deployment_id": None, "image_id": uid("coffee-control") if number == 2 else None, "component_id": None, "advisory_id": None,
            }
        )  # fmt: skip
    return made
