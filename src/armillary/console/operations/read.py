# SPDX-License-Identifier: Apache-2.0
"""Roll-outs, device groups, the audit log and settings, read: asked of the sources, laid out as pages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from armillary.console.frame.asking import ask, catalogs, listed, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.console.frame.sheet import LIST_LINES, SEEN_EVERY_S, next_href
from armillary.console.frame.sort import order_of
from armillary.console.frame.words import sentence, short_id
from armillary.console.language.say import apart
from armillary.console.operations import (
    pages_audit,
    pages_catalog,
    pages_group,
    pages_rollout,
    pages_settings as settings_pages,
    pages_updates,
)
from armillary.errors import InvalidArgumentError

TROUBLE_LINES = 100
ROLES = ("Reader", "Contributor", "Administrator")


def updates(visit: Visit) -> Response:
    """Roll-outs."""
    after, chosen = visit.query.get("after"), pages_updates.chosen_state(visit.query)
    rising = order_of(visit.query, pages_updates.BY_SOURCE) == ("number", False)
    page = visit.sources.updates.rollouts(after=after, limit=LIST_LINES, state=chosen or None, rising=rising)
    table = listed(
        visit,
        pages_updates.COLUMNS,
        [pages_rollout.rollout_line(item, visit.now) for item in page["items"]],
        next_href(pages_updates.LIST, page["next"], {"state": chosen} if chosen else {}),
        numbers=pages_updates.FIGURES,
        by_source=pages_updates.BY_SOURCE,
        more=pages_updates.EXPORTED,
    )
    view = {
        "sentence": pages_updates.updates_sentence(page["items"], chosen, more=bool(after or page["next"])),
        "states": pages_updates.state_links(chosen) if page["items"] or chosen else (),
        "chosen": chosen,
        "new_href": pages_rollout.NEW if may(visit, "start_rollout") else "",
    }
    return visit.page("updates.html", view=view, table=table)


def rollout(visit: Visit) -> Response:
    """One roll-out."""
    found = visit.sources.updates.rollout(visit.params["rollout_id"])
    may_act, by = may(visit, "updates.change"), visit.operator
    view = pages_rollout.rollout_page(found, may_act=may_act, role=by.role, now=visit.now, who=by.name)
    failed = visit.sources.updates.troubles(found["rollout_id"], limit=TROUBLE_LINES)
    names = visit.sources.application.labels([each["device_id"] for each in failed])
    return visit.page(
        "rollout.html",
        view=view,
        troubles=pages_rollout.troubles(failed, names, visit.now),
        sees_releases=may(visit, "show_release"),
    )


def audit(visit: Visit) -> Response:
    """Audit log, as the address filters it, and the result of verifying it when asked."""
    after, query, problem = visit.query.get("after"), pages_audit.query_of(visit.query), ""
    page: dict[str, Any] = {"items": [], "next": None}
    rising = order_of(visit.query, pages_audit.BY_SOURCE) == ("number", False)
    try:
        page = visit.sources.settings.audit_lines(
            after=after, limit=LIST_LINES, rising=rising, **query.asked(visit.now)
        )
    except InvalidArgumentError as error:
        problem = f"{sentence(error.message)} {error.remedy}"
    verify = visit.query.get("verify") == "now"
    names = visit.sources.application.labels(pages_audit.named_devices(page["items"]))
    table = listed(
        visit,
        pages_audit.COLUMNS,
        [pages_audit.audit_row(line, names, visit.now) for line in page["items"]],
        next_href("/audit", page["next"], query.given()),
        numbers=frozenset({"Line"}),
        by_source=pages_audit.BY_SOURCE,
        more=pages_audit.EXPORTED,
    )
    view = {
        "sentence": pages_audit.log_sentence(page["items"], query, is_first=not after and not rising),
        "proof": pages_audit.proof(visit.sources.settings.audit_verification()) if verify else None,
        "problem": problem,
        "filters": pages_audit.filter_fields(query),
        "families": pages_audit.FAMILIES,
        "clear_href": "/audit" if query.given() else "",
        "first_href": "/audit" if after else None,
        "every_s": 0 if verify or after else SEEN_EVERY_S,  # verifying reads the whole log
    }
    return visit.page("audit.html", view=view, table=table, status=400 if problem else 200)


def settings(visit: Visit) -> Response:
    """Catalogs and tokens."""
    return settings_page(visit)


def settings_page(
    visit: Visit, new_token: dict[str, Any] | None = None, new_enrolment: pages_catalog.NewEnrolment | None = None
) -> Response:
    """The settings page; right after a token was made, with its secret."""
    admin, now = visit.sources.settings, visit.now
    may_act, sees_service = may(visit, "settings.create_token"), may(visit, "list_releases")
    tokens = None
    if may_act:
        tokens = [
            settings_pages.token_line(token, own_id=visit.operator.token_id, may_act=may_act, now=now)
            for token in admin.tokens()
        ]
    owners = admin.catalogs()
    factories = {catalog["name"]: _factory(visit, catalog) for catalog in owners}
    waiting = sum(part["waiting"] for part in factories.values())
    sentences = (
        settings_pages.settings_sentence(owners, tokens),
        pages_catalog.waiting_sentence(waiting, more=any(part["is_part"] for part in factories.values())),
    )
    view = {
        "sentence": apart([each for each in sentences if each], " "),
        "catalogs": [
            {
                "name": catalog["name"],
                "id": short_id(catalog["catalog_id"]),
                "href": f"/catalogs/{quote(catalog['name'], safe='')}",
                "policy": settings_pages.policy_sentence(catalog["attestation_policy"]),
                "policy_command": pages_catalog.policy_command(catalog["attestation_policy"]),
                **factories[catalog["name"]],
                "groups": [
                    settings_pages.group_line(
                        group, pages_group.place(catalog["name"], group["product"], group["name"])
                    )
                    for group in catalog["groups"]
                ],
                "certificates": [settings_pages.certificate_line(item, now) for item in catalog["certificates"]],
            }
            for catalog in owners
        ],
        "sees_service": sees_service,
        "tokens": tokens,
        "new_token": new_token,
        "new_enrolment": new_enrolment,
        "lives": tuple(pages_catalog.LIFE_WORDS.items()),
        "may_make_tokens": may_act,
        "may_see_people": may(visit, "list_people"),
        "may_make_policies": may(visit, "change_attestation_policy"),
        "roles": ROLES,
    }
    return visit.page("settings.html", view=view)


def _factory(visit: Visit, catalog: dict[str, Any]) -> dict[str, Any]:
    """How devices come into a catalog and leave it: offers that wait, enrolment tokens."""
    admin, name, now = visit.sources.settings, catalog["name"], visit.now
    after = visit.query.get("after") if visit.query.get("offers") == name else None
    page, tokens = admin.transfers(name, after=after, limit=LIST_LINES), admin.enrolment_tokens(name)
    names = visit.sources.application.labels(sorted({item["device_id"] for item in page["items"]}))
    offers, older = page["items"], next_href("/settings", page["next"], {"offers": name})
    may_answer = may(visit, "settings.answer_transfer")
    may_enrol = may(visit, "settings.create_enrolment_token")
    return {
        "offers": [pages_catalog.offer_line(item, name, names, may_act=may_answer, now=now) for item in offers],
        "waiting": pages_catalog.waiting(offers, name),
        "is_part": bool(after or older),
        "offers_sentence": pages_catalog.offers_sentence(offers, name, is_part=bool(after or older)),
        "older_offers": f"{older}#catalog-{name}" if older else None,
        "newest_offers": f"/settings#catalog-{name}" if after else None,
        "enrolments": pages_catalog.enrolment_lines(tokens, name, may_act=may_enrol, now=now),
        "enrolments_sentence": pages_catalog.enrolment_sentence(tokens, now),
        "may_enrol": may_enrol,
        "enrol_post": f"{pages_catalog.place(name)}/enrolment-tokens",
        "group_choices": pages_catalog.group_choices(catalog["groups"]),
    }


def device_groups(visit: Visit) -> Response:
    """The device groups of all catalogs, or of one."""
    names, asked = catalogs(visit), visit.query.get("catalog", "")
    items = ask(visit, "list_device_groups")["items"]
    return show(visit, pages_group.list_sheet(items, names, asked if asked in names else ""))


def device_group(visit: Visit) -> Response:
    """One device group."""
    return device_group_page(visit)


def device_group_page(
    visit: Visit, sent: Mapping[str, str] = MappingProxyType({}), wrong: Wrong | None = None
) -> Response:
    """The page of a device group; ``wrong`` is what was wrong with its form."""
    found = ask(visit, "show_device_group", **group_named(visit))
    return show(
        visit,
        pages_group.group_sheet(
            found,
            may_ask=may(visit, "check_group_now"),
            may_roll_out=may(visit, "start_rollout"),
            form=pages_group.change_form(found, _feeds(visit, found["catalog"]), sent, wrong)
            if may(visit, "change_device_group")
            else None,
            may_delete=may(visit, "drop_device_group"),
            now=visit.now,
        ),
        400 if wrong else 200,
    )


def _feeds(visit: Visit, catalog: str) -> list[str]:
    return [str(each) for each in ask(visit, "list_registry", catalog=catalog)["feeds"]]


def group_named(visit: Visit) -> dict[str, str]:
    """The device group that an address names."""
    params = visit.params
    return {"catalog": params["catalog"], "product": params["product"], "device_group": params["group"]}


def help_page(visit: Visit) -> Response:
    """Keys and shapes."""
    return visit.page("help.html")


def home(_visit: Visit) -> Response:
    """The fleet is where everybody starts."""
    return RedirectResponse("/fleet", 303)
