# SPDX-License-Identifier: Apache-2.0
"""The operations of IoT Central's REST API that are answered here: method, path, role, and where it is done.

A row stands for an operation of the public specification of the same path; a path without a row is answered with 404.
These rows stand apart from their endpoints, whose modules are imported at the first request (:class:`Later`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, OfOrganisation, Reach, Route
from armillary.api.native.parameters import TEMPLATE_BODY_LIMIT_BYTES, TEMPLATE_VALUES


class Later(NamedTuple):
    """A reference to a function of this package, whose module is imported when it is first needed."""

    module: str
    name: str


def loaded(endpoint: Callable[..., Any] | Later) -> Callable[..., Any]:
    """The function behind an endpoint; imports its module, which may take a moment."""
    if not isinstance(endpoint, Later):
        return endpoint
    found: Callable[..., Any] = getattr(importlib.import_module(f"{__package__}.{endpoint.module}"), endpoint.name)
    return found


if TYPE_CHECKING:
    from armillary.api.central import (
        access,
        attestation,
        commands,
        devices,
        enrollments,
        files,
        groups,
        jobs,
        properties,
        query,
        scheduled_jobs,
        templates,
        tokens,
    )
    from armillary.api.central.call import Call
else:

    class Module:
        """A module of this package; its attributes are references to its functions."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Later:
            return Later(self._name, name)

    access, attestation, commands, devices = map(Module, ("access", "attestation", "commands", "devices"))
    enrollments, files, groups, jobs = map(Module, ("enrollments", "files", "groups", "jobs"))
    properties, query, scheduled_jobs = map(Module, ("properties", "query", "scheduled_jobs"))
    templates, tokens = map(Module, ("templates", "tokens"))

ROOT: Final = "/api"


@dataclass(frozen=True, slots=True)
class Operation(Route):
    """One operation; its endpoint is a :class:`Later` when it runs. ``preview``: only preview versions have it."""

    endpoint: Callable[[Call], Any]
    preview: bool = False


_row = partial(Operation, reach=Reach.TOKEN)
_DEVICE = ROOT + "/devices/{device_id}"


def _properties(place: str) -> tuple[Operation, ...]:
    """Properties of a device or a module."""
    where = place + "/properties"
    return (
        _row("GET", where, properties.get_properties, READER),
        _row("PUT", where, properties.replace_properties, CONTRIBUTOR, 202),
        _row("PATCH", where, properties.update_properties, CONTRIBUTOR, 202),
    )


def _component(place: str) -> tuple[Operation, ...]:
    """Properties, telemetry and commands of a component of a device or a module."""
    where = place + "/properties"
    return (
        _row("GET", where, properties.get_component, READER),
        _row("PUT", where, properties.replace_component, CONTRIBUTOR, 202),
        _row("PATCH", where, properties.update_component, CONTRIBUTOR, 202),
        *_inside(place),
    )


def _inside(place: str) -> tuple[Operation, ...]:
    """Telemetry and commands of a device, a module, or a component of either."""
    command, telemetry = place + "/commands/{command}", place + "/telemetry/{telemetry}"
    return (
        _row("GET", telemetry, properties.telemetry, READER),
        _row("GET", command, commands.history, READER),
        _row("POST", command, commands.run, CONTRIBUTOR, 201),
    )


DEVICES: Final = (
    _row("GET", ROOT + "/devices", devices.list_devices, READER, organisation=OfOrganisation.LIST),
    _row("GET", _DEVICE, devices.get_device, READER),
    _row("PUT", _DEVICE, devices.put_device, CONTRIBUTOR),
    _row("PATCH", _DEVICE, devices.patch_device, CONTRIBUTOR),
    _row("DELETE", _DEVICE, devices.delete_device, CONTRIBUTOR),
    _row("GET", _DEVICE + "/credentials", attestation.credentials, CONTRIBUTOR),
    _row("GET", _DEVICE + "/attestation", attestation.get_attestation, READER),
    _row("PUT", _DEVICE + "/attestation", attestation.put_attestation, CONTRIBUTOR),
    _row("PATCH", _DEVICE + "/attestation", attestation.patch_attestation, CONTRIBUTOR),
    _row("DELETE", _DEVICE + "/attestation", attestation.delete_attestation, CONTRIBUTOR),
    *_properties(_DEVICE),
    *_inside(_DEVICE),
    _row("GET", _DEVICE + "/components", properties.list_components, READER),
    *_component(_DEVICE + "/components/{component}"),
    _row("GET", _DEVICE + "/modules", properties.list_modules, READER),
    *_properties(_DEVICE + "/modules/{module}"),
    *_inside(_DEVICE + "/modules/{module}"),
    _row("GET", _DEVICE + "/modules/{module}/components", properties.list_components, READER),
    *_component(_DEVICE + "/modules/{module}/components/{component}"),
)

_template = partial(_row, body_limit=TEMPLATE_BODY_LIMIT_BYTES, values=TEMPLATE_VALUES)
_TEMPLATE = ROOT + "/deviceTemplates/{template_id}"
TEMPLATES: Final = (
    _row("GET", ROOT + "/deviceTemplates", templates.list_device_templates, READER),
    _row("GET", _TEMPLATE, templates.get_device_template, READER),
    _template("PUT", _TEMPLATE, templates.put_device_template, CONTRIBUTOR),
    _template("PATCH", _TEMPLATE, templates.patch_device_template, CONTRIBUTOR),
    _row("DELETE", _TEMPLATE, templates.delete_device_template, CONTRIBUTOR),
)

_GROUP = ROOT + "/deviceGroups/{group}"
GROUPS: Final = (
    _row("GET", ROOT + "/deviceGroups", groups.list_groups, READER),
    _row("GET", _GROUP, groups.get_group, READER),
    _row("PUT", _GROUP, groups.put_group, CONTRIBUTOR),
    _row("PATCH", _GROUP, groups.patch_group, CONTRIBUTOR),
    _row("DELETE", _GROUP, groups.delete_group, CONTRIBUTOR),
    _row("GET", _GROUP + "/devices", groups.group_devices, READER),
)

_JOB, _SCHEDULED = ROOT + "/jobs/{job}", ROOT + "/scheduledJobs/{job}"
JOBS: Final = (
    _row("GET", ROOT + "/jobs", jobs.list_jobs, READER),
    _row("GET", _JOB, jobs.get_job, READER),
    _row("PUT", _JOB, jobs.create_job, CONTRIBUTOR),
    _row("GET", _JOB + "/devices", jobs.job_devices, READER),
    _row("PUT", _JOB + "/rerun/{rerun}", jobs.rerun_job, CONTRIBUTOR),
    _row("POST", _JOB + "/resume", jobs.resume_job, CONTRIBUTOR, 204),
    _row("POST", _JOB + "/stop", jobs.stop_job, CONTRIBUTOR, 204),
)
SCHEDULED_JOBS: Final = (
    _row("GET", ROOT + "/scheduledJobs", scheduled_jobs.list_scheduled, READER),
    _row("GET", _SCHEDULED, scheduled_jobs.get_scheduled, READER),
    _row("PUT", _SCHEDULED, scheduled_jobs.put_scheduled, CONTRIBUTOR),
    _row("PATCH", _SCHEDULED, scheduled_jobs.patch_scheduled, CONTRIBUTOR),
    _row("DELETE", _SCHEDULED, scheduled_jobs.delete_scheduled, CONTRIBUTOR),
    _row("GET", _SCHEDULED + "/jobs", scheduled_jobs.scheduled_runs, READER),
)

_ORGANIZATION, _TOKEN = ROOT + "/organizations/{organisation}", ROOT + "/apiTokens/{token}"
_USER = ROOT + "/users/{user}"
ACCESS: Final = (
    _row("GET", ROOT + "/organizations", access.list_organizations, READER, organisation=OfOrganisation.LIST),
    _row("GET", _ORGANIZATION, access.get_organization, READER, organisation=OfOrganisation.SUBTREE),
    _row("PUT", _ORGANIZATION, access.put_organization, ADMINISTRATOR),
    _row("PATCH", _ORGANIZATION, access.patch_organization, ADMINISTRATOR),
    _row("DELETE", _ORGANIZATION, access.delete_organization, ADMINISTRATOR),
    _row("GET", ROOT + "/roles", access.list_roles, READER),
    _row("GET", ROOT + "/roles/{role}", access.get_role, READER),
    _row("GET", ROOT + "/apiTokens", tokens.list_tokens, ADMINISTRATOR),
    _row("GET", _TOKEN, tokens.get_token, ADMINISTRATOR),
    _row("PUT", _TOKEN, tokens.put_token, ADMINISTRATOR),
    _row("DELETE", _TOKEN, tokens.delete_token, ADMINISTRATOR),
    _row("GET", ROOT + "/users", access.no_users, READER),
    *(_row(method, _USER, access.no_users, READER) for method in ("GET", "PUT", "PATCH", "DELETE")),
)

_ENROLLMENT = ROOT + "/enrollmentGroups/{enrollment}"
_SIGNER = _ENROLLMENT + "/certificates/{entry}"
ENROLLMENTS: Final = (
    _row("GET", ROOT + "/enrollmentGroups", enrollments.list_enrollments, READER),
    _row("GET", _ENROLLMENT, enrollments.get_enrollment, READER),
    _row("PUT", _ENROLLMENT, enrollments.put_enrollment, CONTRIBUTOR),
    _row("PATCH", _ENROLLMENT, enrollments.patch_enrollment, CONTRIBUTOR),
    _row("DELETE", _ENROLLMENT, enrollments.delete_enrollment, CONTRIBUTOR),
    _row("GET", _SIGNER, enrollments.get_signer, READER),
    _row("PUT", _SIGNER, enrollments.put_signer, CONTRIBUTOR),
    _row("DELETE", _SIGNER, enrollments.delete_signer, CONTRIBUTOR),
    _row("POST", _SIGNER + "/generateVerificationCode", enrollments.verification_code, CONTRIBUTOR),
    _row("POST", _SIGNER + "/verify", enrollments.verify, CONTRIBUTOR, 204),
)

FILES: Final = (
    _row("GET", ROOT + "/fileUploads", files.get_storage, READER),
    *(_row(method, ROOT + "/fileUploads", files.no_storage, ADMINISTRATOR) for method in ("PUT", "PATCH", "DELETE")),
)

QUERIES: Final = (_row("POST", ROOT + "/query", query.run_query, READER, preview=True),)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *DEVICES,
    *TEMPLATES,
    *GROUPS,
    *JOBS,
    *SCHEDULED_JOBS,
    *ACCESS,
    *ENROLLMENTS,
    *FILES,
    *QUERIES,
)

# First words of the paths: everything below one of them is answered in this shape, errors too.
NOUNS: Final = frozenset(each.path.split("/")[2] for each in OPERATIONS)


def is_central(path: str) -> bool:
    """Whether a path belongs to the IoT Central shaped part of the API."""
    parts = path.split("/", 3)
    return len(parts) > 2 and parts[1] == "api" and parts[2] in NOUNS
