# SPDX-License-Identifier: Apache-2.0
"""The operations of IoT Central's REST API that are answered here: method, path, role, and where it is done.

A row stands for an operation of the public specification of the same path. ``api/http/auth.py`` takes its roles from
here; a path without a row is answered with 404.
"""

from __future__ import annotations

from typing import Final, NamedTuple

READER: Final = "Reader"
CONTRIBUTOR: Final = "Contributor"
ADMINISTRATOR: Final = "Administrator"

ROOT: Final = "/api"


class Operation(NamedTuple):
    """One operation.

    Attributes:
        method: HTTP method.
        path: Path template.
        endpoint: ``module:function`` of ``api/central/{module}.py``.
        role: That the caller needs.
        status: Of a good answer; one without a body is 204.
        preview: Whether only preview versions have it.
        note: How it differs from IoT Central's, for the reference.
    """

    method: str
    path: str
    endpoint: str
    role: str
    status: int = 200
    preview: bool = False
    note: str = ""

    @property
    def key(self) -> str:
        """As the table of roles names it."""
        return f"{self.method} {self.path}"


_DEVICE = ROOT + "/devices/{device_id}"


def _properties(place: str, prefix: str) -> tuple[Operation, ...]:
    """Properties of a device, a module, or a component of either."""
    where = place + "/properties"
    return (
        Operation("GET", where, f"properties:get_{prefix}", READER),
        Operation("PUT", where, f"properties:replace_{prefix}", CONTRIBUTOR, 202),
        Operation("PATCH", where, f"properties:update_{prefix}", CONTRIBUTOR, 202),
    )


def _inside(place: str) -> tuple[Operation, ...]:
    """Telemetry and commands of a device, a module, or a component of either."""
    command, telemetry = place + "/commands/{command}", place + "/telemetry/{telemetry}"
    return (
        Operation("GET", telemetry, "properties:telemetry", READER),
        Operation("GET", command, "commands:history", READER),
        Operation("POST", command, "commands:run", CONTRIBUTOR, 201),
    )


DEVICES: Final = (
    Operation("GET", ROOT + "/devices", "devices:list_devices", READER),
    Operation("GET", _DEVICE, "devices:get_device", READER),
    Operation("PUT", _DEVICE, "devices:put_device", CONTRIBUTOR),
    Operation("PATCH", _DEVICE, "devices:patch_device", CONTRIBUTOR),
    Operation("DELETE", _DEVICE, "devices:delete_device", CONTRIBUTOR),
    Operation("GET", _DEVICE + "/credentials", "attestation:credentials", CONTRIBUTOR),
    Operation("GET", _DEVICE + "/attestation", "attestation:get_attestation", READER),
    Operation("PUT", _DEVICE + "/attestation", "attestation:put_attestation", CONTRIBUTOR),
    Operation("PATCH", _DEVICE + "/attestation", "attestation:patch_attestation", CONTRIBUTOR),
    Operation("DELETE", _DEVICE + "/attestation", "attestation:delete_attestation", CONTRIBUTOR),
    *_properties(_DEVICE, "properties"),
    *_inside(_DEVICE),
    Operation("GET", _DEVICE + "/components", "properties:list_components", READER),
    *_properties(_DEVICE + "/components/{component}", "component"),
    *_inside(_DEVICE + "/components/{component}"),
    Operation("GET", _DEVICE + "/modules", "properties:list_modules", READER),
    *_properties(_DEVICE + "/modules/{module}", "properties"),
    *_inside(_DEVICE + "/modules/{module}"),
    Operation("GET", _DEVICE + "/modules/{module}/components", "properties:list_components", READER),
    *_properties(_DEVICE + "/modules/{module}/components/{component}", "component"),
    *_inside(_DEVICE + "/modules/{module}/components/{component}"),
)

_TEMPLATE = ROOT + "/deviceTemplates/{template_id}"
TEMPLATES: Final = (
    Operation("GET", ROOT + "/deviceTemplates", "templates:list_device_templates", READER),
    Operation("GET", _TEMPLATE, "templates:get_device_template", READER),
    Operation("PUT", _TEMPLATE, "templates:put_device_template", CONTRIBUTOR),
    Operation("PATCH", _TEMPLATE, "templates:patch_device_template", CONTRIBUTOR),
    Operation("DELETE", _TEMPLATE, "templates:delete_device_template", CONTRIBUTOR),
)

_GROUP = ROOT + "/deviceGroups/{group}"
GROUPS: Final = (
    Operation("GET", ROOT + "/deviceGroups", "groups:list_groups", READER),
    Operation("GET", _GROUP, "groups:get_group", READER),
    Operation("PUT", _GROUP, "groups:put_group", CONTRIBUTOR),
    Operation("PATCH", _GROUP, "groups:patch_group", CONTRIBUTOR),
    Operation("DELETE", _GROUP, "groups:delete_group", CONTRIBUTOR),
    Operation("GET", _GROUP + "/devices", "groups:group_devices", READER),
)

_JOB, _SCHEDULED = ROOT + "/jobs/{job}", ROOT + "/scheduledJobs/{job}"
JOBS: Final = (
    Operation("GET", ROOT + "/jobs", "jobs:list_jobs", READER),
    Operation("GET", _JOB, "jobs:get_job", READER),
    Operation("PUT", _JOB, "jobs:create_job", CONTRIBUTOR),
    Operation("GET", _JOB + "/devices", "jobs:job_devices", READER),
    Operation("PUT", _JOB + "/rerun/{rerun}", "jobs:rerun_job", CONTRIBUTOR),
    Operation("POST", _JOB + "/resume", "jobs:resume_job", CONTRIBUTOR, 204),
    Operation("POST", _JOB + "/stop", "jobs:stop_job", CONTRIBUTOR, 204),
)
SCHEDULED_JOBS: Final = (
    Operation("GET", ROOT + "/scheduledJobs", "scheduled_jobs:list_scheduled", READER),
    Operation("GET", _SCHEDULED, "scheduled_jobs:get_scheduled", READER),
    Operation("PUT", _SCHEDULED, "scheduled_jobs:put_scheduled", CONTRIBUTOR),
    Operation("PATCH", _SCHEDULED, "scheduled_jobs:patch_scheduled", CONTRIBUTOR),
    Operation("DELETE", _SCHEDULED, "scheduled_jobs:delete_scheduled", CONTRIBUTOR),
    Operation("GET", _SCHEDULED + "/jobs", "scheduled_jobs:scheduled_runs", READER),
)

_ORGANIZATION, _TOKEN = ROOT + "/organizations/{organisation}", ROOT + "/apiTokens/{token}"
_USER = ROOT + "/users/{user}"
ACCESS: Final = (
    Operation("GET", ROOT + "/organizations", "access:list_organizations", READER),
    Operation("GET", _ORGANIZATION, "access:get_organization", READER),
    Operation("PUT", _ORGANIZATION, "access:put_organization", ADMINISTRATOR),
    Operation("PATCH", _ORGANIZATION, "access:patch_organization", ADMINISTRATOR),
    Operation("DELETE", _ORGANIZATION, "access:delete_organization", ADMINISTRATOR),
    Operation("GET", ROOT + "/roles", "access:list_roles", READER),
    Operation("GET", ROOT + "/roles/{role}", "access:get_role", READER),
    Operation("GET", ROOT + "/apiTokens", "tokens:list_tokens", ADMINISTRATOR),
    Operation("GET", _TOKEN, "tokens:get_token", ADMINISTRATOR),
    Operation("PUT", _TOKEN, "tokens:put_token", ADMINISTRATOR),
    Operation("DELETE", _TOKEN, "tokens:delete_token", ADMINISTRATOR),
    Operation("GET", ROOT + "/users", "access:no_users", READER),
    *(Operation(method, _USER, "access:no_users", READER) for method in ("GET", "PUT", "PATCH", "DELETE")),
)

_ENROLLMENT = ROOT + "/enrollmentGroups/{enrollment}"
_SIGNER = _ENROLLMENT + "/certificates/{entry}"
ENROLLMENTS: Final = (
    Operation("GET", ROOT + "/enrollmentGroups", "enrollments:list_enrollments", READER),
    Operation("GET", _ENROLLMENT, "enrollments:get_enrollment", READER),
    Operation("PUT", _ENROLLMENT, "enrollments:put_enrollment", CONTRIBUTOR),
    Operation("PATCH", _ENROLLMENT, "enrollments:patch_enrollment", CONTRIBUTOR),
    Operation("DELETE", _ENROLLMENT, "enrollments:delete_enrollment", CONTRIBUTOR),
    Operation("GET", _SIGNER, "enrollments:get_signer", READER),
    Operation("PUT", _SIGNER, "enrollments:put_signer", CONTRIBUTOR),
    Operation("DELETE", _SIGNER, "enrollments:delete_signer", CONTRIBUTOR),
    Operation("POST", _SIGNER + "/generateVerificationCode", "enrollments:verification_code", CONTRIBUTOR),
    Operation("POST", _SIGNER + "/verify", "enrollments:verify", CONTRIBUTOR, 204),
)

FILES: Final = (
    Operation("GET", ROOT + "/fileUploads", "files:get_storage", READER),
    *(
        Operation(method, ROOT + "/fileUploads", "files:no_storage", ADMINISTRATOR)
        for method in ("PUT", "PATCH", "DELETE")
    ),
)

QUERIES: Final = (Operation("POST", ROOT + "/query", "query:run_query", READER, preview=True),)

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
