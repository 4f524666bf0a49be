# SPDX-License-Identifier: Apache-2.0
"""An Administrator of one catalog asks every route of the table for another one's rows, in every way: nothing is shown.

What each owner has is real (``tenant_world.py``). Each route is asked with the other's ids in each place of its path, and
with ids that nobody has in their stead: the two answers are the same. And with each parameter of its query doubled,
empty, in upper case and percent-encoded. An answer that holds anything of the other owner that was not sent is a leak.

Whoever adds a route need not know of this file: it walks the table. What it holds literally is meant to be judged by a
person when it changes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from tests.api.running_service import running_service
from tests.attacks import odd_asks
from tests.attacks.tenant_asks import (
    KEYS,
    NEW,
    V1,
    World,
    absent_for,
    body_for,
    everyone,
    in_bodies,
    nowhere,
    of_the_tokens_catalog,
    pairs,
    places,
    target,
)
from tests.attacks.tenant_world import Answer, Ask, Caller, comparable, tenant
from tests.fixtures.waiting import wait_until

from armillary.api.app import SHAPES
from armillary.api.azure import names
from armillary.api.central import table as central_table
from armillary.api.http import auth, scope
from armillary.api.http.route import Reach
from armillary.api.http.routes import DeferredRoute
from armillary.api.iot_hub import call as iot_hub_call
from armillary.api.prometheus import shape as prometheus_shape
from armillary.service.hub_access.enrolment_form import EnrolmentForm
from armillary.service.hub_access.enrolments import Applicant
from armillary.wire.hub.provisioning import RegistrationRequest

AZURE = "/subscriptions/{subscription}/providers/Microsoft.AzureSphere/locations/{location}"
# Routes that every token may call: about the caller, or about what the caller sends.
FREE = {
    "GET /api/v1/me",
    "GET /api/v1/me/sessions",
    "DELETE /api/v1/me/sessions/{session_id}",
    "GET /api/v1/dossier-key",
    f"GET {AZURE}/operationStatuses/{{operation}}",
    "POST /api/v1/template-check",
    "POST /api/v1/playbook-check",
    # hawkBit's DDI takes no operator token: who authenticates is the controller that the path names.
    *(f"{method} /{{tenant}}/controller/v1/{{controller}}{place}" for method, place in (
        ("GET", ""), ("GET", "/deploymentBase/{action}"), ("POST", "/deploymentBase/{action}/feedback"),
        ("GET", "/installedBase/{action}"), ("GET", "/cancelAction/{action}"),
        ("POST", "/cancelAction/{action}/feedback"), ("PUT", "/configData"), ("GET", "/confirmationBase"),
        ("GET", "/softwaremodules/{module}/artifacts"),
        ("GET", "/softwaremodules/{module}/artifacts/{filename}"),
        ("HEAD", "/softwaremodules/{module}/artifacts/{filename}"))),
}  # fmt: skip
# Routes that answer about the catalog which ``catalog=`` names.
NARROWED = {
    f"{method} {V1}/{place}"
    for place, methods in {
        "advisories": "GET", "advisories/{advisory_id}": "GET", "advisories/{advisory_id}/devices": "GET",
        "advisory-coverage": "GET", "advisory-statements": "GET POST",
        "advisory-statements/{advisory_statement}": "DELETE",
        "actions": "GET POST", "action-preview": "POST", "actions/{action_id}": "GET",
        "actions/{action_id}/devices": "GET", "actions/{action_id}/approve": "POST",
        "actions/{action_id}/cancel": "POST", "actions/{action_id}/undo": "POST", "playbooks": "GET",
        "playbooks/{playbook}": "GET", "playbooks/{playbook}/enable": "POST", "playbooks/{playbook}/disable": "POST",
        "alerts": "GET", "alerts/{number}": "GET", "alerts/{number}/acknowledge": "POST",
        "alerts/acknowledge": "POST", "alert-overview": "GET", "authorities": "GET",
        "dossiers": "GET POST", "dossiers/{dossier_id}": "GET", "dossiers/{dossier_id}/file": "GET", "vex": "GET",
        "cases": "GET POST", "cases/{case_id}": "GET", "cases/{case_id}/draft": "GET",
        **{f"cases/{{case_id}}/{each}": "POST" for each in (
            "corrections", "references", "fix-available", "submissions", "notes", "close")},
        "crash-dumps": "GET", "crash-dumps/{dump_id}": "GET DELETE", "crash-dumps/{dump_id}/content": "GET",
        "dashboards": "GET", "dashboards/{dashboard_id}": "GET PUT DELETE", "dashboards/{dashboard_id}/data": "GET",
        "dashboards/{dashboard_id}/live": "GET", "dead-letters": "GET", "dead-letters/replay": "POST", "devices": "GET",
        "device-names": "GET", "search": "GET", "assessment": "GET",
        "error-reports": "GET", "exports": "GET", "exports/{export_id}": "GET PUT DELETE",
        "exports/{export_id}/dead-letters": "GET", "exports/{export_id}/dead-letters/replay": "POST",
        "findings": "GET", "findings/{finding_id}": "GET", "findings/{finding_id}/acknowledge": "POST",
        "findings/{finding_id}/close": "POST", "finding-kinds": "GET",
        "finding-kinds/{finding_kind}/acknowledge": "POST", "fleet": "GET", "group-preview": "POST", "groups": "GET", "guardians": "GET",
        "groups/{group_id}": "GET PUT DELETE", "groups/{group_id}/members": "GET",
        "groups/{group_id}/uses": "GET", "jobs/{job_id}/uses": "GET", "templates/{template_name}/uses": "GET",
        "groups/{group_id}/telemetry/aggregate": "GET", "groups/{group_id}/telemetry/export": "GET",
        "groups/{group_id}/telemetry/latest": "GET", "images/{image_id}/package": "GET", "jobs": "GET",
        "jobs/{job_id}": "GET PUT DELETE", "jobs/{job_id}/runs": "GET POST", "jobs/{job_id}/runs/{number}": "GET",
        "jobs/{job_id}/runs/{number}/cancel": "POST", "jobs/{job_id}/runs/{number}/results": "GET",
        "jobs/{job_id}/runs/{number}/results.csv": "GET", "organisations": "GET",
        "organisations/{organisation}": "GET PUT DELETE", "organisations/{organisation}/devices": "GET",
        "people": "GET POST", "people/{person_id}": "GET DELETE", "people/{person_id}/grants": "POST",
        "people/{person_id}/grants/{grant_id}": "DELETE", "sessions": "GET", "sessions/{session_id}": "DELETE",
        "products": "GET", "vulnerability-reports": "GET", "vulnerability-reports/{reference}": "GET",
        "vulnerability-reports/{reference}/actions": "POST",
        "notification-channels": "GET POST", "notification-channels/{channel_id}": "GET PATCH DELETE",
        "notification-overview": "GET",
        "pictures": "GET", "pictures/{picture_id}": "GET PUT DELETE", "pictures/{picture_id}/content": "GET",
        "pictures/{picture_id}/uses": "GET",
        "notification-channels/{channel_id}/given-up": "GET", "notification-channels/{channel_id}/retry": "POST",
        "notification-channels/{channel_id}/test": "POST",
        "rollouts": "GET", "rollouts/{rollout_id}": "GET", "rollouts/{rollout_id}/cancel": "POST",
        "rollouts/{rollout_id}/approve": "POST",
        "rollouts/{rollout_id}/devices": "GET", "rollouts/{rollout_id}/halt": "POST",
        "rollouts/{rollout_id}/resume": "POST", "rollouts/{rollout_id}/roll-back": "POST",
        "rule-test": "POST", "rules": "GET", "rules/{rule_id}": "GET PUT DELETE", "rules/{rule_id}/disable": "POST",
        "rules/{rule_id}/enable": "POST", "rules/{rule_id}/test": "POST", "templates": "GET",
        "templates/{template_name}": "GET PUT DELETE", "templates/{template_name}/devices": "GET",
        "templates/{template_name}/import": "POST", "templates/{template_name}/migrate": "POST",
        "templates/{template_name}/publish": "POST", "templates/{template_name}/versions/{version}": "GET DELETE",
        "templates/{template_name}/versions/{version}/export": "GET",
    }.items()
    for method in methods.split()
}  # fmt: skip
# Ids of these are of the whole service, as others name them by their id alone. That one is taken is told to who wants to
# make one of that id; by whom and for what is not.
ONE_SPACE = {
    *(f"PUT {V1}/{each}" for each in (
        "dashboards/{dashboard_id}", "exports/{export_id}", "groups/{group_id}", "jobs/{job_id}",
        "organisations/{organisation}", "pictures/{picture_id}", "rules/{rule_id}", "templates/{template_name}")),
    f"POST {V1}/templates/{{template_name}}/import",
    *(f"PUT /api/{each}" for each in (
        "deviceGroups/{group}", "deviceTemplates/{template_id}", "devices/{device_id}", "jobs/{job}",
        "organizations/{organisation}", "scheduledJobs/{job}")),
    "PUT /iothub/devices/{device_id}",
    f"PUT {names.DEPLOYMENT}",
}  # fmt: skip
# Thousands of requests: half a minute alone, much more on a busy host.
pytestmark = pytest.mark.timeout(400)
# What changes something comes last: a product that is made under the other owner's name is the asker's from then on.
ORDER = ("GET", "DELETE", "PATCH", "POST", "PUT")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_service(tmp_path_factory.mktemp("tenants")) as service:
        mine, theirs = tenant(service, "zqmine"), tenant(service, "zqtheirs")
        yield World(service, mine, theirs, Caller(service, mine.token), Caller(service, service.token))


def shown(world: World, answer: Answer, sent: Iterable[str]) -> set[str]:
    """What an answer holds of the other owner that the request did not."""
    text = answer.text
    for each in sorted(sent, key=len, reverse=True):
        text = text.replace(each.lower(), "")
    return {each for each in world.theirs.markers() if each in text}


# What an answer says of the time at which it was asked.
OF_NOW = re.compile(r'"(?:as_of|remaining_s|made_at)":-?[0-9]+|drafted [0-9: -]+utc')


def state_of(world: World) -> dict[str, str]:
    """What the other owner has, as who sees everything sees it."""
    keys = [key for key in KEYS if key.startswith("GET ") and not of_the_tokens_catalog(key) and places(key)]
    found = world.everybody.all(Ask("GET", target(key.split(" ", 1)[1], world.theirs.for_key(key))) for key in keys)
    return {key: f"{each.status} {OF_NOW.sub('', each.text)}" for key, each in zip(keys, found, strict=True)}


def query_names(world: World) -> dict[str, frozenset[str]]:
    """What each route's query may name, as far as the route says."""
    found: dict[str, frozenset[str]] = {}
    for route in world.service.app.routes:
        if isinstance(route, DeferredRoute):
            found |= dict.fromkeys(route.row.keys, route.analyse()._query_names() or frozenset())
    return found


# -- the tests --------------------------------------------------------------------------------------------------------


def test_who_is_let_in_is_decided_by_lists_that_a_person_has_read() -> None:
    """When this fails somebody added a route, and has to say here what a token of one catalog may do with it."""
    rows = {key: row for key, row in SHAPES.routes.items() if "{rest" not in key}
    assert {key for key, row in rows.items() if row.reach is Reach.CALLER} == FREE
    assert {key for key, row in rows.items() if row.narrowed} == NARROWED
    assert {key for key, row in rows.items() if row.reach is Reach.TOKEN} == set(filter(of_the_tokens_catalog, rows))
    assert {key: row.lists for key, row in rows.items() if row.lists} == {
        "GET /api/v1/alerts": {"severity"},
        "GET /api/v1/devices/{device_id}/telemetry/export": {"metric"},
        "GET /api/v1/groups/{group_id}/telemetry/export": {"metric"},
        **{key: {"match[]"} for key in rows if f" {prometheus_shape.V1}/" in key},
    }


def test_no_route_takes_a_catalog_from_the_query_that_was_not_checked(world: World) -> None:
    """Whoever adds a route with ``catalog=`` has it from the scope: ``CatalogQuery`` or ``CatalogFilter``."""
    readers, routes = set(), 0
    for route in world.service.app.routes:
        if not isinstance(route, DeferredRoute):
            continue
        waiting = [route.analyse().dependant]
        while waiting:
            inner = waiting.pop()
            waiting += inner.dependencies
            if "catalog" in {each.alias for each in inner.query_params}:
                readers.add(inner.call)
                routes += 1
    assert readers == {scope.checked_catalog, scope.checked_filter}
    assert routes > 50


def test_what_the_other_owner_has_is_really_there(world: World) -> None:
    """Who may see everything sees it: what the asker is refused below is refused because it is the other owner's."""
    missing = {}
    for key in KEYS:
        method, template = key.split(" ", 1)
        if method != "GET" or of_the_tokens_catalog(key) or "/application-templates" in key:
            continue
        own = (f"catalog={world.theirs.name}",) if template == f"{V1}/authorities" else ()
        answers = world.everybody.all(Ask(method, target(template, ids, *own)) for ids in everyone(key, world))
        if not any(each.status in (200, 204) for each in answers):
            missing[key] = answers
    assert missing == {}


def test_a_search_finds_what_is_the_askers_and_nothing_else(world: World) -> None:
    """The other owner, and who sees everything, find something of each kind by the word that the asker types."""
    by_everybody = world.everybody.one("GET", f"{V1}/search?q=zqtheirs")
    by_everybody = json.loads(by_everybody.text)["items"]
    assert {each["kind"] for each in by_everybody} >= {
        "device", "hub-device", "dashboard", "rule", "template", "group", "job", "export", "device-group", "product",
        "catalog", "image", "rollout", "finding",
    }  # fmt: skip
    # By the word of the other, and by the ids of all that is the other's.
    for text in ("zqtheirs", *dict.fromkeys(each["id"] for each in by_everybody)):
        answer = world.asker.one("GET", f"{V1}/search?catalog={world.mine.name}&q={quote(text)}")
        assert answer.status == 200
        assert not shown(world, answer, [text]), (text, answer)
        assert text != "zqtheirs" or json.loads(answer.text)["items"] == []
    mine = world.asker.one("GET", f"{V1}/search?catalog={world.mine.name}&q=zqmine")
    assert {each["kind"] for each in json.loads(mine.text)["items"]} == {each["kind"] for each in by_everybody}
    assert world.asker.one("GET", f"{V1}/search?q=zqmine").status == 403  # names no catalog


def test_what_a_body_names_of_the_other_owner_is_as_good_as_nothing(world: World) -> None:
    """Dashboards are read as well: a tile about another owner's group says what one about no group says."""
    theirs = {**world.theirs.ids, "heat": f"{world.theirs.word}heat", "hub_device": world.theirs.hub_device}
    theirs["number"] = theirs["alert"]
    told, good = [], 0
    for method, path, place, body in in_bodies(world):
        found = []
        for given in (theirs[place], str(10**6 + next(NEW)) if place == "alert" else absent_for(theirs, place)):
            ask = Ask(method, path.format(f"n{next(NEW)}"), body(given))  # no part of a name that ends in hex digits
            answer = world.asker.one(method, ask.target, ask.body)
            assert not shown(world, answer, [given]), (ask, answer)
            if "/dashboards/" in path and answer.status == 200:
                answer = world.asker.one("GET", ask.target.replace("?", "/data?"))
                assert not shown(world, answer, [given]), (ask, answer)
            found.append((answer, comparable(answer, [given, ask.target.partition("?")[0].rpartition("/")[2]])))
        good += found[0][0].status < 300
        if found[0][1] != found[1][1]:
            told.append((method, path, place, found[0][0], found[1][0]))
    for each in told:
        print("TOLD", each)
    assert told == []
    assert good > 8, "routes get as far as looking for what is named"


def test_nothing_of_the_other_owner_is_shown_and_his_rows_are_as_good_as_none(world: World) -> None:
    before, at = state_of(world), int(time.time())
    wait_until(lambda: int(time.time()) > at, "the next second: what says the time is not steady")
    again = state_of(world)
    steady = {key for key, text in before.items() if again[key] == text}
    leaked, told, taken = [], [], set()
    matrix = sorted(pairs(world), key=lambda each: (ORDER.index(each.theirs.method), -len(each.sent[0])))
    for pair in matrix:
        theirs, nobody = world.asker.all((pair.theirs, pair.nobody))
        if shown(world, theirs, pair.sent[0]) or shown(world, nobody, pair.sent[1]):
            leaked.append((pair.theirs, theirs, nobody))
        if theirs.status == 409 and "is taken" in theirs.text and nobody.status < 300:
            taken.add(pair.key)
        elif comparable(theirs, pair.sent[0]) != comparable(nobody, pair.sent[1]):
            told.append((pair.theirs, theirs, nobody))
    for each in leaked:
        print("LEAK", each)
    for each in told:
        print("TOLD", each)
    assert leaked == []
    assert told == []
    assert taken == ONE_SPACE
    after = state_of(world)
    assert {key for key in steady if after[key] != before[key]} == set()
    assert len(steady) > 60, "most of what the other owner has is looked at before and after"
    print(f"{len({each.key for each in matrix})} routes, {2 * len(matrix)} calls")


def test_what_is_about_everybody_or_about_a_row_alone_is_refused_to_who_speaks_for_one_catalog(world: World) -> None:
    """Whatever the row is of: of a finding, a roll-out, a release or a token it is not said whether it is there.

    Nor does a route about another catalog or device answer because the own catalog is named in its query.
    """
    wrong, asked = [], 0
    for key in KEYS:
        method, template = key.split(" ", 1)
        if key in FREE or of_the_tokens_catalog(key):
            continue
        by_path = {"catalog", "device_id", "operation"} & set(places(template))
        rows = [nowhere(key, world)] if by_path else [who.for_key(key) for who in (world.mine, world.theirs)]
        queries = [(), *([] if SHAPES.routes[key].narrowed else [(f"catalog={world.mine.name}",)])]
        for ids, query in ((ids, query) for ids in rows for query in queries):
            answer = world.asker.one(method, target(template, ids, *query), body_for(key, world.mine))
            asked += 1
            if answer.status not in ((403, 404) if by_path else (403,)):
                wrong.append((key, query, answer))
    assert wrong == []
    assert asked > 400


def test_a_query_that_two_could_read_differently_is_read_by_none(world: World) -> None:
    """Each parameter of each route doubled and empty; ``catalog`` everywhere, also where no route takes it."""
    known, asks = query_names(world), list[Ask]()
    for key in KEYS:
        method, template = key.split(" ", 1)
        path, _, needed = target(template, world.mine.for_key(key)).partition("?")
        given = {each.partition("=")[0]: each.partition("=")[2] for each in needed.split("&") if each}
        for name in sorted({"catalog", "$top", *known.get(key, ()), *given} - SHAPES.routes[key].lists):
            mine = world.mine.name if name == "catalog" else given.get(name, "1")
            other = world.theirs.name if name == "catalog" else "2"
            rest = [f"{each}={value}" for each, value in given.items() if each != name]
            for twice in (
                f"{name}={mine}&{name}={other}", f"{name}={other}&{name}={mine}", f"{name}={mine}&{name}=",
                f"{name}=&{name}={mine}", f"{name}=", name, f"{name}={mine}&{name.upper()}={other}",
                f"{name}={mine}&%{ord(name[0]):02x}{name[1:]}={other}",
            ):  # fmt: skip
                asks.append(Ask(method, f"{path}?{'&'.join([*rest, twice])}", body_for(key, world.mine)))
    answers = world.asker.all(asks)
    wrong = [pair for pair in zip(asks, answers, strict=True) if pair[1].status != 400 or "query: " not in pair[1].text]
    assert wrong == []
    assert all(not shown(world, answer, [world.theirs.name]) for answer in answers)
    assert len(asks) > 7500
    print(f"{len(asks)} calls")


def test_a_native_route_takes_no_parameter_that_it_does_not_read(world: World) -> None:
    """In another case it is another name: ``Catalog=`` narrows nothing, and is not passed over in silence either."""
    own = f"catalog={world.mine.name}"
    for query in (f"Catalog={world.theirs.name}&{own}", f"CATALOG={world.mine.name}&{own}"):
        assert world.asker.one("GET", f"{V1}/groups?{query}").status == 400  # one of them twice
    for query in (f"Limit=1&{own}", f"x=1&{own}", f"catalogue=x&{own}", f"=1&{own}"):
        answer = world.asker.one("GET", f"{V1}/groups?{query}")
        assert (answer.status, "no parameter" in answer.text, "after, catalog, limit" in answer.text) == (
            400,
            True,
            True,
        )
    for query in (f"Catalog={world.mine.name}", f"CATALOG={world.mine.name}", "catalogue=x"):
        assert world.asker.one("GET", f"{V1}/groups?{query}").status == 403  # it names no catalog
        assert world.everybody.one("GET", f"{V1}/groups?{query}").status == 400
    assert world.asker.one("GET", f"{V1}/groups?%63%61talog={world.mine.name}").status == 200
    for twice in ("comp=block&comp=blocklist", "si=a&SI=b", "sig="):  # without a token, as Put Blob answers
        answer = world.everybody.one("PUT", f"/device-files/x?{twice}")
        assert (answer.status, "query: " in answer.text, "<error>" in answer.text) == (400, True, True)
    device = f"{V1}/devices/{world.mine.ids['device']}"
    assert world.asker.one("GET", f"{device}/telemetry/export?metric=a&metric=b").status == 200
    assert world.asker.one("GET", f"{device}/telemetry/export?metric=a&metric=").status == 400
    assert world.asker.one("GET", f"{device}/twin?module={world.mine.ids['module']}").status == 200


def test_no_odd_request_to_the_routes_of_updates_is_a_fault_of_ours(world: World) -> None:
    """Each place and each field in every form that is none: refused in the route's own shape, with what was wrong."""
    asks = [ask for key in odd_asks.ROUTES for ask in odd_asks.odd_paths(key, world)]
    bodies = [pair for key in odd_asks.ROUTES for pair in odd_asks.odd_bodies(key, world)]
    asks += [ask for _, ask in bodies]
    answers = world.everybody.all(asks)
    faults = [pair for pair in zip(asks, answers, strict=True) if pair[1].status >= 500]
    assert faults == []
    dumb = [
        pair
        for pair in zip(asks, answers, strict=True)
        if pair[1].status >= 400 and not json.loads(pair[1].text).get("detail")
    ]
    assert dumb == []
    told = {answer.status for answer in answers}
    assert {400, 404} <= told <= {200, 201, 400, 404, 405, 409, 413, 422, 429}
    refused = [answer.status in (400, 422) for answer in answers[-len(bodies) :]]
    assert sum(refused) > 0.8 * len(bodies), "what is odd is noticed as such"
    print(f"{len(odd_asks.ROUTES)} routes, {len(asks)} calls")


def test_a_path_that_is_spelt_otherwise_is_answered_the_same(world: World) -> None:
    pairs_asked = [pair for key in odd_asks.ROUTES for pair in odd_asks.other_spellings(key, world)]
    for caller in (world.everybody, world.asker):
        plain, spelt = (caller.all(asks) for asks in zip(*pairs_asked, strict=True))
        assert [one.status for one in plain] == [one.status for one in spelt]
        assert [comparable(one, []) for one in plain] == [comparable(one, []) for one in spelt]
    assert len(pairs_asked) > 12


def test_that_the_id_of_a_hub_device_is_taken_does_not_say_by_whom(world: World) -> None:
    """To whoever makes one and to what registers: another catalog's device and the own one give the same answer."""
    place, enrolments = f"{V1}/catalogs/{world.mine.name}/hub-devices", world.service.service.hub_access.enrolments
    made, registered = [], []
    for device in (world.theirs.hub_device, world.mine.hub_device):
        answer = world.asker.one("POST", place, {"device_id": device, "authentication": "sas"})
        assert answer.status == 409
        made.append(comparable(answer, [device]))
        name = f"registers-{next(NEW)}"
        form = EnrolmentForm(name=name, is_group=False, attestation="symmetricKey", device_id=device)
        enrolment, _ = enrolments.create(world.mine.name, form, actor="test")
        asked = RegistrationRequest(registration_id=name, payload=None)
        result = enrolments.register(Applicant(name, enrolment, None), asked)
        registered.append((result.status, result.error_code, str(result.message).replace(device, "*")))
    assert made[0] == made[1]
    assert registered[0] == registered[1] == ("failed", 409001, "the id '*' is taken")


def test_without_the_check_the_matrix_finds_that_everything_is_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with the scope of a token of all catalogs, each kind of row leaks."""

    def everything(_request: Any, _row: Any, _token: Any, _service: Any, query: Mapping[str, str]) -> scope.Scope:
        return scope.Scope(query.get("catalog"), is_of_one=False)  # type: ignore[arg-type]

    monkeypatch.setattr(auth, "check_scope", everything)
    leaked = set()
    for pair in pairs(world):
        if pair.theirs.method == "GET" and not of_the_tokens_catalog(pair.key):
            answer = world.asker.one("GET", pair.theirs.target)
            if shown(world, answer, pair.sent[0]):
                leaked.add(pair.key)
    assert len(leaked) > 40, sorted(leaked)
    assert {
        f"GET {V1}/{each}" for each in ("devices/{device_id}", "catalogs/{catalog}/hub-service-keys", "groups")
    } <= leaked
    for key in ("POST /api/v1/security-floors", "PUT /api/v1/telemetry/retention"):
        method, template = key.split(" ", 1)
        assert world.asker.one(method, template, body_for(key, world.mine)).status == 200, key


def test_if_the_routes_of_these_shapes_did_not_keep_to_the_tokens_catalog_it_would_be_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of those in IoT Hub's and IoT Central's shape, which name no catalog."""
    keys = [f"GET {root}/devices/{{device_id}}" for root in (iot_hub_call.ROOT, central_table.ROOT)]
    asks = [Ask("GET", target(key.removeprefix("GET "), world.theirs.for_key(key))) for key in keys]
    assert [each.status for each in world.asker.all(asks)] == [404, 404]
    theirs = world.service.service.registry.catalogs.get(world.theirs.name)
    monkeypatch.setattr(iot_hub_call, "catalog_of", lambda _: theirs)
    assert [each.status for each in world.asker.all(asks)] == [200, 200]


def test_without_the_one_reading_of_the_query_an_empty_second_catalog_lifts_the_scope(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what was shown when scope and handler each read the query."""
    group = f"everybody-{next(NEW)}"
    assert world.everybody.one("PUT", f"{V1}/groups/{group}", {"name": "All"}).status == 200
    twice = f"catalog={world.mine.name}&catalog="
    asks = [
        Ask("GET", f"{V1}/groups/{group}/members?{twice}"),
        Ask("GET", f"{V1}/groups/{group}/telemetry/latest?metric=temperature&{twice}"),
        Ask("GET", f"{V1}/groups/{group}/telemetry/export?{twice}"),
        Ask("POST", f"{V1}/group-preview?{twice}", {"name": "x"}),
        Ask("GET", f"{V1}/devices?{twice}"),
    ]
    assert {each.status for each in world.asker.all(asks)} == {400}

    def lenient(given: Any, _key: str) -> dict[str, str]:
        return {name: value for name, value in given.multi_items() if value}

    monkeypatch.setattr(auth, "read_query", lenient)
    # Still none of it: what handlers get is what was checked.
    assert not any(shown(world, each, [world.theirs.name]) for each in world.asker.all(asks))
    monkeypatch.setattr(scope, "_agreed", lambda _request, catalog: catalog or None)
    assert all(shown(world, each, [world.theirs.name]) for each in world.asker.all(asks))


def test_over_the_wire_the_answer_is_the_same(world: World) -> None:
    """What is asked above is asked in the service's own loop; over TLS nothing else is answered."""
    for query, status in (("&catalog=", 400), (f"&catalog={world.theirs.name}", 400), ("", 200)):
        path = f"{V1}/group-preview?catalog={world.mine.name}{query}"
        reply = world.service.call("POST", path, {"name": "x"}, token=world.mine.token)
        assert reply.status == status
        assert world.asker.one("POST", path, {"name": "x"}) == Answer(status, reply.raw.decode().lower())
    assert reply.body["items"]
