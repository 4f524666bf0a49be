# SPDX-License-Identifier: Apache-2.0
"""Who may ask what: each question of a page, and each change, is checked before a source answers it.

:data:`ROUTES_OF` has a row for every method of a source (``fleet.devices``) and every question of ``ask``: the route of
the API that answers the same. That route's own row decides which role asks it and what a token of one catalog or
organisation reaches (``api/http/scope.py``), so the console has no rules of its own: devices and catalogs that are
named have to be the operator's, and what is about all catalogs is refused. So is a method or a question without a row.

Not here: how answers about many rows are narrowed; the sources do that, by the catalog of their request's context.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any, Final

from armillary.api.app import SHAPES
from armillary.api.azure import names
from armillary.api.http.route import Route, allows
from armillary.api.http.scope import Asked, check_reach, reaches
from armillary.api.native.parameters import V1
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import NOT_FOR_ONE, role_refused
from armillary.errors import PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.platform.authored.documents import PARSERS

_DEVICE, _CATALOG, _HUB_DEVICE = "/devices/{device_id}", "/catalogs/{catalog}", "/hub-devices/{device_id}"
_MODULES, _ENROLMENTS = f"{_HUB_DEVICE}/modules", f"{_CATALOG}/hub-enrolments"
_KEYS, _TOKENS, _TEMPLATE = f"{_CATALOG}/hub-service-keys", f"{_CATALOG}/enrolment-tokens", "/templates/{template_name}"
_RUNS, _VERSION, _ROLLOUT = "/jobs/{job_id}/runs", f"{_TEMPLATE}/versions/{{version}}", "/rollouts/{rollout_id}"
_RELEASE, _IMAGE = "/releases/{release_id}", f"{_CATALOG}/images/{{image_id}}"
_GROUP = f"{_CATALOG}/products/{{product}}/device-groups/{{device_group}}"
_TRANSFERS, _BOARD, _KIND = f"{_CATALOG}/transfers", "/dashboards/{dashboard_id}", "/{kind}s/{{kind}_id}"
_PERSON: Final = "/people/{person_id}"
# About the operator alone, about what the operator sends, or narrowed row by row by the source itself.
_OWN: Final = "GET /me"
# Question -> the route; below V1 where it does not begin with a slash of another shape.
ROUTES_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fleet.summary": "GET /fleet",
        "fleet.devices": "GET /devices",
        "fleet.of_organisation": "GET /organisations/{organisation}/devices",
        "fleet.device": f"GET {_DEVICE}",
        "fleet.records": f"GET {_DEVICE}/check-ins",
        "fleet.software": f"GET {_DEVICE}/deployment",
        "fleet.revoke": f"POST {_DEVICE}/revoke",
        "fleet.restore": f"POST {_DEVICE}/restore",
        "fleet.release": f"POST {_DEVICE}/release",
        "fleet.quarantine": f"POST {_DEVICE}/quarantine",
        "fleet.decommission": f"POST {_DEVICE}/decommission",
        "fleet.offer": f"POST {_TRANSFERS}",
        "hub.connected": f"GET {_DEVICE}/telemetry",
        "hub.last_values": f"GET {_DEVICE}/telemetry",
        "hub.called": f"GET {_DEVICE}/telemetry",
        "hub.series": f"GET {_DEVICE}/telemetry/series",
        "hub.twin": f"GET {_DEVICE}/twin",
        "hub.listen": f"GET {_DEVICE}/telemetry/stream",
        "updates.groups": f"GET {names.PRODUCT}",
        "updates.rollouts": "GET /rollouts",
        "updates.rollout": f"GET {_ROLLOUT}",
        "updates.troubles": f"GET {_ROLLOUT}/devices",
        "updates.change": f"POST {_ROLLOUT}/halt",
        "watch.findings": "GET /findings",
        "watch.finding": "GET /findings/{finding_id}",
        "watch.kinds": "GET /finding-kinds",
        "watch.move": "POST /findings/{finding_id}/acknowledge",
        "watch.acknowledge_kind": "POST /finding-kinds/{finding_kind}/acknowledge",
        "settings.audit_lines": "GET /audit",
        "settings.audit_verification": "GET /audit/verification",
        "settings.catalogs": f"GET {names.CATALOG}",
        "settings.catalog_names": f"GET {names.CATALOG}",
        "settings.transfers": f"GET {_TRANSFERS}",
        "settings.answer_transfer": f"POST {_TRANSFERS}/{{transfer_id}}/accept",
        "settings.enrolment_tokens": f"GET {_TOKENS}",
        "settings.create_enrolment_token": f"POST {_TOKENS}",
        "settings.revoke_enrolment_token": f"DELETE {_TOKENS}/{{token_id}}",
        "settings.tokens": "GET /tokens",
        "settings.create_token": "POST /tokens",
        "settings.revoke_token": "DELETE /tokens/{token_id}",
        "list_people": "GET /people",
        "grant_places": "GET /people",
        "show_person": f"GET {_PERSON}",
        "invite_person": "POST /people",
        "grant_person": f"POST {_PERSON}/grants",
        "revoke_grant": f"DELETE {_PERSON}/grants/{{grant_id}}",
        "set_person_state": f"POST {_PERSON}/disable",
        "remove_person": f"DELETE {_PERSON}",
        "list_sessions": "GET /sessions",
        "end_session": "DELETE /sessions/{session_id}",
        "own_sessions": "GET /me/sessions",
        "end_own_session": "DELETE /me/sessions/{session_id}",
        "tag_device": f"PATCH {_DEVICE}/twin",
        "move_device": f"PUT {_DEVICE}/name",  # Azure's route of it names the device otherwise; the same role and reach
        "table_memory": _OWN,
        "show_view": _OWN,
        "save_view": _OWN,
        "rename_view": _OWN,
        "delete_view": _OWN,
        "choose_columns": _OWN,
        "application.documents": "GET /{kind}s",
        "application.document": f"GET {_KIND}",
        "application.check": _OWN,
        "application.keep": f"PUT {_KIND}",
        "application.drop": f"DELETE {_KIND}",
        "application.tiles": f"GET {_BOARD}/data",
        "application.tile_devices": f"GET {_BOARD}/data",
        "application.tile_labels": f"GET {_BOARD}/data",
        "application.tile_choices": f"GET {_BOARD}/data",
        "application.previous": f"GET {_KIND}",
        "application.wanted": f"GET {_BOARD}/live",
        "application.live": f"GET {_BOARD}/live",
        "application.open_alerts": "GET /alert-overview",
        "application.alert_changes": "GET /alert-overview",
        "application.shed": _OWN,
        "application.labels": _OWN,
        "application.call": f"POST {_DEVICE}/methods/{{method}}",
        "list_rules": "GET /rules",
        "show_rule": "GET /rules/{rule_id}",
        "switch_rule": "POST /rules/{rule_id}/enable",
        "rule_trace": "GET /rules/{rule_id}/trace/{device_id}",
        "try_new_rule": "POST /rule-test",
        "try_kept_rule": "POST /rules/{rule_id}/test",
        "list_pictures": "GET /pictures",
        "show_picture": "GET /pictures/{picture_id}",
        "put_picture": "PUT /pictures/{picture_id}",
        "delete_picture": "DELETE /pictures/{picture_id}",
        "picture_content": "GET /pictures/{picture_id}/content",
        "picture_uses": "GET /pictures/{picture_id}/uses",
        "list_alerts": "GET /alerts",
        "acknowledge_alert": "POST /alerts/{number}/acknowledge",
        "acknowledge_alerts": "POST /alerts/acknowledge",
        "show_alert": "GET /alerts/{number}",
        "count_alerts": "GET /alerts",
        "alert_overview": "GET /alert-overview",
        "list_groups": "GET /groups",
        "group_members": "GET /groups/{group_id}/members",
        "preview_group": "POST /group-preview",
        "group_uses": "GET /groups/{group_id}/uses",
        "list_jobs": "GET /jobs",
        "show_job": "GET /jobs/{job_id}",
        "job_uses": "GET /jobs/{job_id}/uses",
        "list_runs": f"GET {_RUNS}",
        "list_results": f"GET {_RUNS}/{{number}}/results",
        "begin_run": f"POST {_RUNS}",
        "cancel_run": f"POST {_RUNS}/{{number}}/cancel",
        "list_exports": "GET /exports",
        "show_export": "GET /exports/{export_id}",
        "list_dead_letters": "GET /exports/{export_id}/dead-letters",
        "fleet": "GET /fleet",
        "find_device": "GET /device-names",
        "search": "GET /search",
        "name_device": f"PUT {_DEVICE}/name",
        "update_status": f"GET {_DEVICE}/update-status",
        "check_now": f"POST {_DEVICE}/check-now",
        "show_device_log": f"GET {_DEVICE}/log",
        "ask_device_log": f"POST {_DEVICE}/log",
        "read_device_log": f"GET {_DEVICE}/log/lines",
        "show_cellular_status": f"GET {_DEVICE}/cellular",
        "check_group_now": f"POST {_GROUP}/check-now",
        "list_device_groups": f"GET {names.PRODUCT}",
        "show_device_group": f"GET {_GROUP}/update-schedule",
        "list_releases": "GET /releases",
        "show_release": "GET /releases",
        "draft_choices": "POST /releases/drafts",
        "make_draft": "POST /releases/drafts",
        "sign_release": f"POST {_RELEASE}/sign",
        "publish_release": f"POST {_RELEASE}/publish",
        "promote_release": f"POST {_RELEASE}/promote",
        "revoke_release": f"POST {_RELEASE}/withdraw",
        "release_bill": f"GET {_RELEASE}/sbom",
        "put_release_bill": f"POST {_RELEASE}/sbom",
        "list_feeds": "GET /os-feeds",
        "make_feed": "POST /os-feeds",
        "drop_feed": "DELETE /os-feeds/{feed}",
        "list_application_templates": "GET /application-templates",
        "application_contents": "GET /application-templates/{name}",
        "use_application_template": "POST /application-templates/{name}/use",
        "make_catalog": f"PUT {names.CATALOG}",
        "make_product": f"PUT {names.PRODUCT}",
        "make_device_group": f"PUT {names.DEVICE_GROUP}",
        "claim_devices": f"POST {names.DEVICE_GROUP}/claimDevices",
        "newly_claimed": "GET /devices",
        "list_registry": f"GET {names.PRODUCT}",
        "service_addresses": "GET /fleet",
        "service_root": _OWN,
        "show_catalog": f"GET {names.CATALOG}",
        "known_chips": _OWN,
        "change_attestation_policy": f"PATCH {_CATALOG}/attestation-policy",
        "drop_catalog": f"DELETE {names.CATALOG}",
        "change_product": f"PATCH {names.PRODUCT}",
        "drop_product": f"DELETE {names.PRODUCT}",
        "change_device_group": f"PATCH {names.DEVICE_GROUP}",
        "drop_device_group": f"DELETE {names.DEVICE_GROUP}",
        "hub_address": _OWN,
        "upload_limits": f"POST {names.CATALOG}/uploadImage",
        "hold_packages": f"POST {names.CATALOG}/uploadImage",
        "show_held": f"POST {names.CATALOG}/uploadImage",
        "keep_held": f"POST {names.CATALOG}/uploadImage",
        "drop_held": f"POST {names.CATALOG}/uploadImage",
        "group_images": f"GET {names.DEVICE_GROUP}/deployments",
        "preview_rollout": f"POST {_CATALOG}/rollout-preview",
        "start_rollout": f"POST {_CATALOG}/rollouts",
        "preview_os_rollout": f"POST {_RELEASE}/rollout-preview",
        "start_os_rollout": f"POST {_RELEASE}/rollout",
        "list_images": f"GET {names.IMAGE}",
        "show_image": f"GET {names.IMAGE}",
        "image_label": "GET /devices",
        "image_bill": f"GET {_IMAGE}/sbom",
        "put_image_bill": f"POST {_IMAGE}/sbom",
        "show_repository": "GET /repository",
        "show_signing_keys": "GET /signing-keys",
        "list_advisories": "GET /advisories",
        "show_advisory": "GET /advisories/{advisory_id}",
        "list_statements": "GET /advisory-statements",
        "show_statement": "GET /advisory-statements",
        "make_statement": "POST /advisory-statements",
        "take_back_statement": "DELETE /advisory-statements/{advisory_statement}",
        "list_advisory_devices": "GET /advisories/{advisory_id}/devices",
        "advisory_coverage": "GET /advisory-coverage",
        "list_advisory_feeds": "GET /advisory-feeds",
        "list_crash_groups": f"GET {_CATALOG}/crash-groups",
        "show_crash_group": f"GET {_CATALOG}/crash-groups/{{crash_group}}",
        "crash_reports": f"GET {_CATALOG}/crash-groups/{{crash_group}}/reports",
        "list_actions": "GET /actions",
        "show_action": "GET /actions/{action_id}",
        "action_devices": "GET /actions/{action_id}/devices",
        "preview_action": "POST /action-preview",
        "run_action": "POST /actions",
        "approve_action": "POST /actions/{action_id}/approve",
        "cancel_action": "POST /actions/{action_id}/cancel",
        "undo_action": "POST /actions/{action_id}/undo",
        "list_playbooks": "GET /playbooks",
        "switch_playbook": "POST /playbooks/{playbook}/enable",
        "list_crash_dumps": "GET /crash-dumps",
        "show_crash_dump": "GET /crash-dumps/{dump_id}",
        "crash_dump_content": "GET /crash-dumps/{dump_id}/content",
        "drop_crash_dump": "DELETE /crash-dumps/{dump_id}",
        "show_collection": f"GET {_GROUP}/crash-dumps",
        "put_collection": f"PUT {_GROUP}/crash-dumps",
        "erase_collection": f"DELETE {_GROUP}/crash-dumps",
        "list_channels": "GET /notification-channels",
        "notification_overview": "GET /notification-overview",
        "choose_channel": "PATCH /notification-channels/{channel_id}",
        "show_channel": "GET /notification-channels/{channel_id}",
        "given_up_events": "GET /notification-channels/{channel_id}/given-up",
        "make_channel": "POST /notification-channels",
        "test_channel": "POST /notification-channels/{channel_id}/test",
        "retry_channel": "POST /notification-channels/{channel_id}/retry",
        "drop_channel": "DELETE /notification-channels/{channel_id}",
        "trace_device": f"GET {_DEVICE}/trace",
        "trace_key": "GET /certificates/{key_serial}/trace",
        "prove_audit": "POST /logs/{log}/proof",
        "trace_product": f"GET {_CATALOG}/products/{{product}}/trace",
        "list_products": "GET /products",
        "declare_product": f"PATCH {_CATALOG}/products/{{product}}",
        "list_dossiers": "GET /dossiers",
        "show_dossier": "GET /dossiers/{dossier_id}",
        "dossier_file": "GET /dossiers/{dossier_id}/file",
        "dossier_key": "GET /dossier-key",
        "make_dossier": "POST /dossiers",
        "export_vex": "GET /vex",
        "list_reports": "GET /vulnerability-reports",
        "read_report": "GET /vulnerability-reports/{reference}",
        "act_on_report": "POST /vulnerability-reports/{reference}/actions",
        "assign_report": "POST /vulnerability-reports/{reference}/assign",
        "show_disclosure": "GET /disclosure",
        "list_cases": "GET /cases",
        "show_case": "GET /cases/{case_id}",
        "draft_case": "GET /cases/{case_id}/draft",
        "begin_case": "POST /cases",
        "add_to_case": "POST /cases/{case_id}/notes",
        "assess_fleet": "GET /assessment",
        "assess_device": f"GET {_DEVICE}/assessment",
        "show_containment": f"GET {_DEVICE}/containment",
        "device_raw": f"GET {_DEVICE}/telemetry/raw",
        "device_extremes": f"GET {_DEVICE}/telemetry/series",
        "device_twin": f"GET {_DEVICE}/twin",
        "patch_device_twin": f"PATCH {_DEVICE}/twin",
        "list_hub_devices": f"GET {_CATALOG}/hub-devices",
        "show_hub_device": f"GET {_HUB_DEVICE}",
        "make_hub_device": f"POST {_CATALOG}/hub-devices",
        "change_hub_device": f"PATCH {_HUB_DEVICE}",
        "delete_hub_device": f"DELETE {_HUB_DEVICE}",
        "make_module": f"POST {_MODULES}",
        "change_module": f"PATCH {_MODULES}/{{module_id}}",
        "delete_module": f"DELETE {_MODULES}/{{module_id}}",
        "show_admission": f"GET {_CATALOG}/hub-admission",
        "change_admission": f"PATCH {_CATALOG}/hub-admission",
        "list_hub_enrolments": f"GET {_ENROLMENTS}",
        "make_hub_enrolment": f"POST {_ENROLMENTS}",
        "verify_hub_enrolment": f"POST {_ENROLMENTS}/{{enrolment_id}}/verify",
        "change_hub_enrolment": f"PATCH {_ENROLMENTS}/{{enrolment_id}}",
        "delete_hub_enrolment": f"DELETE {_ENROLMENTS}/{{enrolment_id}}",
        "list_hub_registrations": f"GET {_ENROLMENTS}/{{enrolment_id}}/registrations",
        "list_hub_service_keys": f"GET {_KEYS}",
        "make_hub_service_key": f"POST {_KEYS}",
        "delete_hub_service_key": f"DELETE {_KEYS}/{{name}}",
        "list_guardians": "GET /guardians",
        "show_guardian": "GET /guardians/{device_id}",
        "command_equipment": f"POST {_DEVICE}/methods/{{method}}",
        "list_templates": "GET /templates",
        "show_template": f"GET {_TEMPLATE}",
        "show_template_version": f"GET {_VERSION}",
        "put_template": f"PUT {_TEMPLATE}",
        "import_template": f"POST {_TEMPLATE}/import",
        "check_template": "POST /template-check",
        "upcoming_template": f"POST {_TEMPLATE}/publish",
        "publish_template": f"POST {_TEMPLATE}/publish",
        "migrate_template": f"POST {_TEMPLATE}/migrate",
        "delete_template": f"DELETE {_TEMPLATE}",
        "template_devices": f"GET {_TEMPLATE}/devices",
        "template_values": f"GET {_TEMPLATE}",
        "template_uses": f"GET {_TEMPLATE}/uses",
        "show_device_template": f"GET {_DEVICE}/template",
        "set_device_template": f"PUT {_DEVICE}/template",
        "unset_device_template": f"DELETE {_DEVICE}/template",
        "set_cloud_properties": f"PATCH {_DEVICE}/cloud-properties",
        "properties_patch": f"PATCH {_DEVICE}/properties",
        "set_device_properties": f"PATCH {_DEVICE}/properties",
    }
)


def route_of(question: str, kind: str = "group") -> Route | None:
    """The API's row for a question; None for one that has none.

    ``kind`` is that of a document that it is about; as a question it is that such a document is kept.
    """
    if question in PARSERS:
        question, kind = "application.keep", question
    method, _, path = ROUTES_OF.get(question, "").replace("{kind}", kind).partition(" ")
    return SHAPES.routes.get(f"{method} {path if path.startswith(names.SUBSCRIPTION) else V1 + path}")


def may_ask(operator: Operator, question: str) -> bool:
    """Whether an operator may ask a question at all; whose row it is about is looked at when it is asked."""
    return refusal(operator, route_of(question)) is None


def refusal(operator: Operator, row: Route | None) -> PermissionDeniedError | None:
    """Why an operator may not ask what a route decides about; None where it may, as far as the route says."""
    if row is None:
        return PermissionDeniedError("no route decides who may ask this", remedy="Report this.")
    if not reaches(row, operator):
        of, beyond = "catalog", "all catalogs"
        if operator.organisation is not None:
            of, beyond = "organisation", "more than its devices"
        return PermissionDeniedError(
            f"you act as {operator.name}, who is for one {of}, and this is about {beyond}",
            remedy=f"Ask somebody who is not for one {of}.",
            code=NOT_FOR_ONE,
        )
    return None if allows(operator.role, row.role) else role_refused(operator)


class Checked:
    """A source, by its name among sources, that checks each question of ``by`` before it answers."""

    def __init__(self, source: object, name: str, by: RequestContext) -> None:
        self._source, self._name, self._by = source, name, by

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return partial(self._asked, method, getattr(self._source, method))

    def _asked(self, method: str, answer: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        if method == "ask":
            question, arguments = str(given[0]), named
        else:
            question, arguments = f"{self._name}.{method}", dict(signature(answer).bind(*given, **named).arguments)
        check(self._by, question, arguments)
        return answer(*given, **named)


def check(by: RequestContext, question: str, arguments: Mapping[str, Any]) -> None:
    """Raise unless an operator may ask a question with these arguments.

    Raises:
        PermissionDeniedError: it has no row, asks for another role, is not about one catalog, or not about a device of
            the operator's organisation.
        NotFoundError: it names a device or a catalog that is not the operator's, or that there is not.
    """
    row, operator = route_of(question, arguments.get("kind") or "group"), by.operator
    if (refused := refusal(operator, row)) is not None:
        raise refused
    assert row is not None  # noqa: S101 - what has no row is refused
    if operator.catalog is None:
        return
    path = {name: arguments[name] for name in ("device_id", "catalog") if isinstance(arguments.get(name), str)}
    if "device" in arguments:
        path["device_id"] = arguments["device"]["device_id"]
    if "{catalog}" in row.path and by.catalog is not None:
        path.setdefault("catalog", by.catalog)
    if operator.organisation is not None:
        path["organisation"] = operator.organisation
    check_reach(Asked(f"the question {question}", row, path, by.catalog), operator, by.service, by.platform)
