# SPDX-License-Identifier: Apache-2.0
"""The page about IoT Central's REST API: every operation of the table, with what it does and how it differs."""

from __future__ import annotations

import inspect
from itertools import groupby

from armillary.api.central import call as central_call
from armillary.api.central.table import OPERATIONS, Operation, loaded

INTRODUCTION = f"""\
Scripts and clients that were written for IoT Central's public REST API work here by changing two things: the
address (`https://HOST:8443/api/...`) and the token. What is answered is listed below, operation by operation; a
path that is not listed is answered with 404. Not here are users, relationships between devices, Edge deployment
manifests, and of the previews dashboards and data exports (ours: `armillary dashboard`, `armillary export`).

The Azure CLI's own client (`az iot central`, `azext_iot/central/services`) was run against it unmodified
(`tests/conformance/test_iot_central_cli.py`).

## Rules of every operation

- **Application.** An application there is a catalog here. A token of one catalog is about that one (`armillary
  token create --catalog NAME`); a token of all catalogs works where there is one only. A token of an organisation
  lists and reaches the devices of it and of what is below, and reads its organisations; nothing else.
- **Token.** `Authorization: TOKEN`, `Authorization: Bearer TOKEN` and `Authorization: SharedAccessSignature
  sr=..&sig=..` are all taken; the last is what `PUT /api/apiTokens/ID` answers, and scripts send it as it is. Entra
  ID tokens are not.
- **Version.** `api-version` is needed: {", ".join(central_call.STABLE)}, or {" or ".join(central_call.PREVIEW)},
  which the operations marked *preview* need. All are answered alike.
- **Lists** are `{{"value": [...], "nextLink": url}}`, by id, {central_call.PAGE} at a time; `maxpagesize` (or
  `$top`) says otherwise, up to {central_call.MAX_PAGE}. Lists are neither filtered nor sorted (`filter`, `orderby`:
  400): make a device group.
- **ETags** are in bodies (`etag`); `If-Match`, or an `etag` in the body, guards a change: 412 when it is another
  one.
- **Errors** are `{{"error": {{"code", "message", "requestId", "time"}}}}` and the header `x-ms-error-code`, with
  our stable code and remedy in `innererror`.
- **Roles.** IoT Central's roles are ours: Administrator, Builder (Contributor) and Operator (Reader), by their
  public identifiers. A Reader changes nothing: what an Operator does there needs a Contributor here.
"""

TITLES = {
    "devices": (
        "Devices",
        """\
Devices of both kinds are here. Those that attest get names, templates and organisations, and are made, revoked and
decommissioned where the rest of Armillary does it (409). A device that is made here is a hub device: its catalog
has to admit it (`armillary hub-device admission`). It has no keys until somebody asks for its credentials, which
makes them; **they are shown this once**: later the answer is the id scope alone, and attestations show keys as
empty text. Instead of asking, let an enrolment group register it: its name, template and organisation stay.
`simulated: true` is refused: simulated devices come with an application template. `organizations` needs the role
Administrator. `provisioned` says that a device has checked in, or of a hub device that it has something to show.
Naming a template gives the device its newest version.

What may be written of properties is what the device's template says, cloud properties beside them; a device without
a template and a module take what a twin takes. Of command runs the last of each command is remembered, in memory.
There are no relationships between devices (upstream, downstream), and no Edge deployment manifests.""",
    ),
    "deviceTemplates": (
        "Device templates",
        """\
PUT makes a template and publishes it. Views are not part of it. The id is the model identifier that it was made
with; a template that was made otherwise has `dtmi:armillary:template_NAME;VERSION`. PATCH is a merge patch of the
template's JSON, and publishes a new version. Templates of all catalogs are read by every token and changed by none
of one catalog.""",
    ),
    "deviceGroups": (
        "Device groups",
        """\
A group's `filter` is `SELECT * FROM devices WHERE ...`: `$template = "dtmi:..."`, then conditions joined by `AND`,
or by `OR` (in parentheses behind `$template`), not nested. A condition compares `$id`, `$provisioned`,
`$simulated`, a property or a cloud property of the template (`fanSpeed`, `settings.voltage`) with text in quotes, a
number, true or false by `= != <> < <= > >=`. Ours besides: `CONTAINS`, `IS_DEFINED(name)`, `NOT IS_DEFINED(name)`,
and `$SOURCE.PATH` for whatever a [segment](../concepts/segments.md) looks at (`$telemetry.temperature`,
`$device.health`, `$tag.site`): so every group has a text that is read as that group again. Anything else is
refused: nothing is kept that says less than the text. A template's newest version stands for all of them. Groups
are of the whole application, not of an organisation.""",
    ),
    "jobs": (
        "Jobs",
        """\
A PUT makes a job and begins its run; a job of that id that is there already is a conflict (409). What is shown is
the newest run. A rerun and a resumption are further runs of the same job, over the devices that failed, or that
were not reached before it was stopped; the id of a rerun is not kept. `data` is one action: properties, cloud
properties, or one command; `deviceTemplateMigration` is not (`armillary template migrate`). The group must have the
device template that `data` names. A cancellation threshold is over the whole run (`batch: false`). Deleting a job,
retries and pauses are `armillary job`'s. Of a scheduled job's runs `jobs/ID` is `SCHEDULED-run-NUMBER`.""",
    ),
    "scheduledJobs": (
        "Scheduled jobs",
        """\
`recurrence` is daily or weekly; monthly is refused, as a repetition is a number of seconds. A repetition that was
made otherwise is shown as a duration (`PT3600S`). A scheduled job is enabled until it is deleted.""",
    ),
    "organizations": (
        "Organisations",
        """\
A device is in one organisation or in none. [Organisations](../concepts/organisations.md) says what their tokens
reach.""",
    ),
    "roles": (
        "Roles",
        """\
Administrator, Builder and Operator are our Administrator, Contributor and Reader; Org Administrator, Org Operator
and Org Viewer are Administrator, Reader and Reader of one organisation. There are no custom roles.""",
    ),
    "apiTokens": (
        "API tokens",
        """\
An API token is an operator token of this catalog ([operate](../guides/operate.md)); its id is its name. It has one
role assignment, of the catalog or of one organisation, and ends after a year unless `expiry` says otherwise.
`token` is in the answer to PUT alone. DELETE revokes it, and leaves the tokens that were made with it: `armillary token
list` says who made which. A token of one catalog makes none that ends after it does, and none that has the name of
a token of all catalogs.""",
    ),
    "users": (
        "Users",
        """\
There are none: people and scripts have tokens. Every operation is answered with 404 and says so.""",
    ),
    "enrollmentGroups": (
        "Enrolment groups",
        """\
The id is the group's name, and its display name as well: another one is not kept. Keys may be given or are made,
and are shown this once; later they read as empty text. A group of certificates has one authority, the primary one,
which may come later; it is verified by the certificate that it signed and by nothing else, so `"verified": true` in
a body is passed over. `idScope` is in each group. Enrolments of one device are `armillary hub-enrolment`'s.""",
    ),
    "fileUploads": (
        "File uploads",
        """\
The service keeps files of devices itself: GET says so, and changing it is a conflict (409).""",
    ),
    "query": (
        "Queries",
        """\
`SELECT [TOP n] items FROM dtmi:... [WHERE ...] [GROUP BY WINDOW(PT10M)] [ORDER BY name [DESC]]` over the devices of
a template, of telemetry or of properties. Items are `$id`, `$ts`, `$provisioned`, `$simulated`, names, or functions
(`SUM MAX MIN COUNT AVG FIRST LAST`), with `AS alias`; of an object the fields (`place.x`). Conditions are joined by
`AND`, `OR` and parentheses, with `IN [...]` and one `WITHIN_WINDOW(P1D)` or `WITHIN_WINDOW('start/end')`; without
one the last 30 days are looked at. At most 10,000 rows, 50,000 values and, of properties, 1,000 devices are looked
at; a query that would need more values is refused.""",
    ),
}


def central_page(notice: str) -> str:
    """The whole page."""
    lines = ["# IoT Central's REST API", notice, INTRODUCTION]
    for noun, rows in groupby(OPERATIONS, lambda each: each.path.split("/")[2]):
        title, text = TITLES[noun]
        lines += [f"## {title}", "", text, "", "| operation | role | what it does |", "|---|---|---|"]
        lines += [_row(each) for each in rows]
        lines.append("")
    return "\n".join(lines)


def _row(operation: Operation) -> str:
    said = (inspect.getdoc(loaded(operation.endpoint)) or "").partition("\n\n")[0]
    what = said.replace("\n", " ").replace("``", "`").rstrip(".")
    preview = " *(preview)*" if operation.preview else ""
    return f"| `{operation.method} {operation.path}`{preview} | {operation.role} | {what}. |"
