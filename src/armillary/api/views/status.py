# SPDX-License-Identifier: Apache-2.0
"""How the service itself is doing, as JSON-able dicts, for ``armillary status``, the console and probes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509

from armillary import __version__
from armillary.api.views.advisories import standing
from armillary.engines.records.schema.rows import FleetSummary
from armillary.engines.rules.shares import MAX_WAITING
from armillary.errors import ArmillaryError

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]

# Below this much free space the data folder is in danger: a day of a busy hub.
LOW_DISK_BYTES = 1 << 30
# The server certificate is renewed 30 days before its end; later than this, renewing has failed.
SERVER_CERTIFICATE_MARGIN_S = 7 * 86400
# Commits that wait; more than this and the disk does not keep up.
HIGH_COMMIT_QUEUE = 10_000
# Firings that wait for their commit, and for how long (seconds): a burst is over before; beyond, alerts are late.
HIGH_UNCOMMITTED_FIRINGS = 5_000
HIGH_UNCOMMITTED_AGE_S = 15
# Part of all actions that may wait: beyond, catalogs soon have their least share only.
NEARLY_FULL = 0.8
ORDER = ("ok", "degraded", "failed")


def status(service: SecurityService, hub: Hub, platform: Platform, *, started_at: float) -> Document:
    """Health, version and the fleet in short.

    ``status`` (the worst of the checks: ``ok``, ``degraded``, ``failed``), ``version``, ``uptime_s``, ``devices``,
    ``open_findings``, ``connected_devices``, ``device_endpoint``, ``hub`` and ``checks``: name, status, detail.
    """
    fleet: list[FleetSummary] = []
    checks = [
        _check("records", lambda: _records(service, fleet)),
        _check("hub", lambda: _hub(hub)),
        _check("rules", lambda: _rules(platform)),
        _check("device-endpoint", lambda: _device_endpoint(service)),
        _check("verifier", lambda: _verifier(service)),
        _check("planner", lambda: _loop(service, "planner")),
        _check("watch", lambda: _watch(service)),
        _check("disk", lambda: _disk(service.settings.data)),
        _check("repository", lambda: _repository(service)),
        _check("advisories", lambda: standing(service)),
        _check("notifications", lambda: _notifications(service)),
        _check("server-certificate", lambda: _server_certificate(service)),
    ]
    summary = fleet[0] if fleet else None
    return {
        "status": max((check["status"] for check in checks), key=ORDER.index),
        "version": __version__,
        "uptime_s": int(time.time() - started_at),
        "devices": summary.devices if summary is not None else None,
        "open_findings": sum(summary.open_findings.values()) if summary is not None else None,
        "connected_devices": len(hub.connected()),
        "device_endpoint": service.device_address.url,
        "hub": "mqtts://{}:{}".format(*service.hub_address),
        "checks": checks,
    }


def _check(name: str, look: Callable[[], tuple[str, str]]) -> Document:
    try:
        state, detail = look()
    except ArmillaryError as error:
        state, detail = "failed", error.message
    except OSError as error:
        state, detail = "failed", error.strerror or type(error).__name__
    return {"name": name, "status": state, "detail": detail}


def _records(service: SecurityService, fleet: list[FleetSummary]) -> tuple[str, str]:
    fleet.append(service.registry.devices.summary())
    detail = f"{fleet[0].devices} devices"
    if waiting := service.audit.outboxes.drain():
        return "degraded", f"{detail}, the audit log does not take its lines: {waiting} wait"
    return "ok", detail


def _hub(hub: Hub) -> tuple[str, str]:
    counters = hub.counters()
    waiting = counters["commit_queue_now"]
    detail = f"{counters['connected_now']} connected, {waiting} commits waiting"
    if shed := counters["slow_consumers_shed"]:
        detail += f", {shed} slow clients cut off"
    if counters["database_unreachable_now"]:
        return "failed", f"{detail}, the database of series does not answer: messages are refused"
    if counters["disk_full_now"]:
        return "failed", f"{detail}, the disk is too full: messages are refused"
    return ("ok" if waiting < HIGH_COMMIT_QUEUE else "degraded"), detail


def _rules(platform: Platform) -> tuple[str, str]:
    counts = platform.rules.count()
    waiting, uncommitted = counts["rule_actions_waiting_now"], counts["rule_firings_uncommitted_now"]
    detail = (
        f"{counts['rules_enabled_now']} enabled, {waiting} actions waiting,"
        f" {counts['rule_actions_dead_letters_now']} dead letters"
    )
    troubles = []
    if unreadable := counts["rules_unreadable"]:
        troubles.append(f"{unreadable} rules are unreadable")
    if counts["rule_commits_failed"] and uncommitted:
        troubles.append(f"the disk refused firings, {uncommitted} are not kept yet")
    age_s = counts["rule_firings_uncommitted_age_s_now"]
    if uncommitted > HIGH_UNCOMMITTED_FIRINGS or age_s > HIGH_UNCOMMITTED_AGE_S:
        troubles.append(f"{uncommitted} firings wait to be kept, the oldest for {age_s} s: alerts are late")
    if full := counts["rule_action_owners_full_now"]:
        troubles.append(f"{full} catalogs have as many actions waiting as they may: further ones are dead letters")
    if full := counts["rule_action_rules_full_now"]:
        troubles.append(f"{full} rules have as many actions waiting as they may: further ones are dead letters")
    if waiting >= MAX_WAITING * NEARLY_FULL:
        troubles.append(f"of {MAX_WAITING} actions that may wait nearly all do")
    return ("degraded" if troubles else "ok"), ", ".join([detail, *troubles])


def _device_endpoint(service: SecurityService) -> tuple[str, str]:
    found = _part(service, "device_endpoint")
    detail = f"port {found['port']}, {found['connections']} connections"
    workers = found["workers"]
    if not workers:
        return ("ok" if found["ok"] else "failed"), detail
    ready, restarts = sum(one["state"] == "ready" for one in workers), sum(one["restarts"] for one in workers)
    detail += f", {ready} of {len(workers)} workers, {restarts} restarted"
    return ("ok" if ready == len(workers) else "degraded" if ready else "failed"), detail


def _verifier(service: SecurityService) -> tuple[str, str]:
    found = _part(service, "verifier")
    return {"ok": "ok", "behind": "degraded"}.get(str(found["state"]), "failed"), str(found["state"])


def _loop(service: SecurityService, name: str) -> tuple[str, str]:
    found = _part(service, name)
    last = found["last_run_at"]
    detail = "has not run yet" if last is None else f"ran {int(time.time()) - int(last)} s ago"
    return ("ok" if found["ok"] else "failed"), detail


def _watch(service: SecurityService) -> tuple[str, str]:
    state, detail = _loop(service, "watch")
    dropped = {name: count for name, count in service.watch.drops.counts().items() if count}
    if not dropped:
        return state, detail
    said = ", ".join(f"{count} at {name}" for name, count in dropped.items())
    return "degraded" if state == "ok" else state, f"{detail}, events dropped since the start: {said}"


def _part(service: SecurityService, name: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", service.health()[name])


def _disk(data: Path) -> tuple[str, str]:
    free = shutil.disk_usage(data).free
    return ("ok" if free >= LOW_DISK_BYTES else "degraded"), f"{free >> 20} MiB free in the data folder's file system"


def _repository(service: SecurityService) -> tuple[str, str]:
    repository = service.repository
    if repository.fault:
        return "failed", f"not published: {repository.fault}"
    custody = repository.custody
    away = [role for role, where in custody.items() if where != "online"]
    detail = f"offline keys: {', '.join(away)}" if away else "all keys are online" if custody else "not looked at yet"
    if waiting := repository.files.pending():
        return "degraded", f"{detail}; {', '.join(waiting)} wait for signatures"
    return "ok", detail


def _notifications(service: SecurityService) -> tuple[str, str]:
    found = service.notifications.totals()
    if not found.channels:
        return "ok", "no channel: nobody is told of findings"
    detail = (
        f"{found.channels} channels, {found.failing} failing, {found.waiting} events waiting, "
        f"{found.given_up} given up, {found.dropped} dropped"
    )
    return ("degraded" if found.failing else "ok"), detail


def _server_certificate(service: SecurityService) -> tuple[str, str]:
    pem = service.authority.server.files().certificate.read_bytes()
    left = x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp() - time.time()
    state = "ok" if left > SERVER_CERTIFICATE_MARGIN_S else "degraded" if left > 0 else "failed"
    return state, f"ends in {int(left // 86400)} days"
