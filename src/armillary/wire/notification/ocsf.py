# SPDX-License-Identifier: Apache-2.0
"""Events and findings in the Open Cybersecurity Schema Framework's form, version 1.8.0 (https://schema.ocsf.io/1.8.0).

========================== ==========================================================================================
Vulnerability Finding 2002 a finding about an advisory
Compliance Finding 2003    a finding that says that something which ought to hold does not: a certificate without
                           successor, containment that is missing, a clock, support that ends, data that is too old
Incident Finding 2005      a finding that waits for a person to decide: a held roll-out, a request for quarantine
Application Error 6008     crashes of an application, and this service's own trouble
Remediation Activity 7001  an action
Detection Finding 2004     every other finding, and the test of a channel
========================== ==========================================================================================

Times are milliseconds since 1970. What the schema has no attribute for is in ``unmapped``. No profile is applied.
Source of the numbers: the enumerations of each class in the schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from armillary.wire.notification.event import Event

VERSION: Final = "1.8.0"

# Kind of a finding -> class, where it is not a Detection Finding.
_VULNERABILITY, _COMPLIANCE, _DETECTION, _INCIDENT = 2002, 2003, 2004, 2005
_APPLICATION_ERROR, _REMEDIATION = 6008, 7001
CLASSES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "vulnerability-in-field": _VULNERABILITY,
        "certificate-expiring": _COMPLIANCE,
        "containment-weak": _COMPLIANCE,
        "feed-stale": _COMPLIANCE,
        "support-ending": _COMPLIANCE,
        "clock": _COMPLIANCE,
        "rollout-held": _INCIDENT,
        "quarantine-requested": _INCIDENT,
        "application-crashed": _APPLICATION_ERROR,
        "verifier-behind": _APPLICATION_ERROR,
    }
)
_NAMES: Final = {
    _VULNERABILITY: "Vulnerability Finding",
    _COMPLIANCE: "Compliance Finding",
    _DETECTION: "Detection Finding",
    _INCIDENT: "Incident Finding",
    _APPLICATION_ERROR: "Application Error",
    _REMEDIATION: "Remediation Activity",
}
_CATEGORIES: Final = {2: "Findings", 6: "Application Activity", 7: "Remediation"}
_SEVERITY: Final = {"info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_SEVERITY_NAMES: Final = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
# Status of a finding -> activity_id and status_id; Incident Finding's closed is 5, the others' resolved 4.
_CREATE, _UPDATE, _CLOSE = 1, 2, 3
_FINDING_STATUS: Final = {"open": 1, "acknowledged": 2, "closed": 4}
_INCIDENT_STATUS: Final = {"open": 1, "acknowledged": 2, "closed": 5}
# Kind of an action -> activity of Remediation Activity.
_ACTIVITY: Final = {
    "quarantine": (1, "Isolate"),
    "halt": (1, "Isolate"),
    "revoke": (2, "Evict"),
    "roll-back": (3, "Restore"),
    "deploy-fix": (3, "Restore"),
    "raise-floor": (4, "Harden"),
    "re-attest": (5, "Detect"),
}
_OTHER: Final = 99
_SUCCESS, _FAILURE = 1, 2
# Status of Compliance: what is critical has failed, what is less may still be put right in time.
_WARNING, _FAIL = (2, "Warning"), (3, "Fail")
_RULE, _BEHAVIORAL = 1, 2  # kinds of analytics
_AFFECTED: Final = 3  # role of a resource
_CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.ASCII)
MS: Final = 1000


def of_event(event: Event, *, catalog: tuple[UUID, str] | None, product_version: str, sequence: int) -> dict[str, Any]:
    """An event as a JSON object.

    ``catalog`` is id and name ("" for not known) of the one it belongs to; ``sequence`` its number within a channel.
    """
    if event.topic == "finding":
        made = of_finding(
            event.data, catalog=catalog, product_version=product_version, is_new=event.kind == "finding.opened"
        )
    elif event.topic == "action":
        made = _of_action(event, catalog, product_version)
    elif event.topic == "alert":
        made = _of_alert(event, catalog, product_version)
    else:
        made = _of_test(event, catalog, product_version)
    made["metadata"].update(uid=str(event.event_id), event_code=event.kind, sequence=sequence)
    return made


def of_finding(
    finding: Mapping[str, Any], *, catalog: tuple[UUID, str] | None, product_version: str, is_new: bool = False
) -> dict[str, Any]:
    """A finding as ``wire/device/finding.py`` writes it in JSON; ``is_new`` says that it was just opened."""
    kind, status = finding["kind"], finding["status"]
    class_uid = CLASSES.get(kind, _DETECTION)
    if kind == "vulnerability-in-field" and not finding.get("advisory_id"):
        class_uid = _DETECTION  # one that was made before findings named their advisory
    made = _base(class_uid, finding["severity"], finding["last_seen"] * MS, catalog, product_version)
    made |= {
        "message": finding["title"],
        "count": finding["count"],
        "start_time": finding["first_seen"] * MS,
        "end_time": finding["last_seen"] * MS,
        "unmapped": _unmapped(finding),
    }
    if class_uid == _APPLICATION_ERROR:
        return _active(made, 1, "General Error") | {
            "status_id": _OTHER,
            "status": status,
            "status_detail": finding["cause"],
        }
    activity = _CLOSE if status == "closed" else _CREATE if is_new else _UPDATE
    _active(made, activity, {_CREATE: "Create", _UPDATE: "Update", _CLOSE: "Close"}[activity])
    made |= {"status": status, "comment": finding["proposed_action"]}
    info = _info(finding)
    if class_uid == _INCIDENT:
        owner = {"name": "operators of the service"} if catalog is None else _group(catalog)
        made |= {"status_id": _INCIDENT_STATUS[status], "desc": finding["cause"], "assignee_group": owner}
        return made | {"finding_info_list": [info]}
    made |= {"status_id": _FINDING_STATUS[status], "finding_info": info}
    if resources := _resources(finding):
        made["resources"] = resources
    if class_uid == _VULNERABILITY:
        return made | {"vulnerabilities": [_vulnerability(finding)]}
    made["remediation"] = {"desc": finding["proposed_action"]}
    if class_uid == _COMPLIANCE:
        number, word = _FAIL if finding["severity"] == "critical" else _WARNING
        check = {"control": kind, "status": word, "status_id": number, "desc": finding["cause"]}
        return made | {"compliance": check}
    return made | {"is_alert": _SEVERITY[finding["severity"]] >= _SEVERITY["high"]}


def _of_action(event: Event, catalog: tuple[UUID, str] | None, product_version: str) -> dict[str, Any]:
    made = _base(_REMEDIATION, event.severity, event.at * MS, catalog, product_version)
    kind, state = str(event.data.get("kind", "notice")), event.kind.partition(".")[2]
    activity, name = _ACTIVITY.get(kind, (_OTHER, kind))
    _active(made, activity, name)
    outcome = {"done": _SUCCESS, "undone": _SUCCESS, "failed": _FAILURE}.get(state, _OTHER)
    return made | {
        "command_uid": event.subject,
        "message": event.title,
        "status_id": outcome,
        "status": state,
        "status_detail": event.text,
        "unmapped": {"armillary": dict(event.data)},
    }


def _of_alert(event: Event, catalog: tuple[UUID, str] | None, product_version: str) -> dict[str, Any]:
    made = _base(_DETECTION, event.severity, event.at * MS, catalog, product_version)
    _active(made, _CREATE, "Create")
    info = {"uid": event.subject, "title": event.title, "desc": event.text, "types": [event.kind]}
    return made | {
        "message": event.title,
        "finding_info": info,
        "status_id": 1,
        "status": "open",
        "is_alert": True,
        "unmapped": {"armillary": dict(event.data)},
    }


def _of_test(event: Event, catalog: tuple[UUID, str] | None, product_version: str) -> dict[str, Any]:
    made = _base(_DETECTION, event.severity, event.at * MS, catalog, product_version)
    _active(made, _CREATE, "Create")
    info = {"uid": event.subject, "title": event.title, "desc": event.text, "types": [event.kind]}
    said = {"comment": "A test: nothing has happened.", "is_alert": False}
    return made | {"message": event.title, "finding_info": info, "status_id": 1, "status": "open", **said}


def _base(
    class_uid: int, severity: str, time_ms: int, catalog: tuple[UUID, str] | None, product_version: str
) -> dict[str, Any]:
    category = class_uid // 1000
    level = _SEVERITY[severity]
    metadata: dict[str, Any] = {
        "version": VERSION,
        "product": {"name": "Armillary", "vendor_name": "Armillary", "version": product_version},
        "log_name": "armillary",
    }
    if catalog is not None:
        metadata["tenant_uid"] = str(catalog[0])
        if catalog[1]:
            metadata["labels"] = [f"catalog:{catalog[1]}"]
    return {
        "class_uid": class_uid,
        "class_name": _NAMES[class_uid],
        "category_uid": category,
        "category_name": _CATEGORIES[category],
        "severity_id": level,
        "severity": _SEVERITY_NAMES[level],
        "time": time_ms,
        "metadata": metadata,
    }


def _active(made: dict[str, Any], activity: int, name: str) -> dict[str, Any]:
    """Say what happened; the type is class and activity in one number."""
    made["activity_id"], made["activity_name"] = activity, name
    made["type_uid"] = made["class_uid"] * 100 + activity
    made["type_name"] = f"{made['class_name']}: {name if activity != _OTHER else 'Other'}"
    return made


def _info(finding: Mapping[str, Any]) -> dict[str, Any]:
    kind = finding["kind"]
    analytic = {"name": kind, "uid": kind, "type_id": _BEHAVIORAL if kind == "behaviour-unusual" else _RULE}
    return {
        "uid": finding["finding_id"],
        "title": finding["title"],
        "desc": finding["cause"],
        "types": [kind],
        "analytic": analytic,
        "created_time": finding["first_seen"] * MS,
        "first_seen_time": finding["first_seen"] * MS,
        "last_seen_time": finding["last_seen"] * MS,
        "modified_time": finding["last_seen"] * MS,
    }


def _resources(finding: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The devices that the finding names, and the image."""
    found = [{"uid": each, "type": "Device", "role_id": _AFFECTED} for each in finding["device_ids"]]
    if finding.get("image_id"):
        found.append({"uid": finding["image_id"], "type": "Image", "role_id": _AFFECTED})
    return found


def _vulnerability(finding: Mapping[str, Any]) -> dict[str, Any]:
    advisory = finding["advisory_id"]
    named = {"cve": {"uid": advisory}} if _CVE.fullmatch(advisory) else {"advisory": {"uid": advisory}}
    return {
        **named,
        "title": finding["title"],
        "desc": finding["cause"],
        "severity": finding["severity"],
        "first_seen_time": finding["first_seen"] * MS,
        "last_seen_time": finding["last_seen"] * MS,
        "remediation": {"desc": finding["proposed_action"]},
    }


def _group(catalog: tuple[UUID, str]) -> dict[str, Any]:
    return {"uid": str(catalog[0]), "name": f"operators of catalog {catalog[1] or catalog[0]}"}


def _unmapped(finding: Mapping[str, Any]) -> dict[str, Any]:
    names = ("device_count", "fingerprint", "group_id", "deployment_id", "rollout_id", "image_id", "component_id")
    return {name: finding[name] for name in names if finding.get(name) is not None}
