# SPDX-License-Identifier: Apache-2.0
"""A person of one catalog, and a token of one organisation, ask every address of the console for what is not theirs.

The two owners and what each has are those of the API's matrix (``tenant_world.py``). Every page, form and live stream is
asked with the other's ids in each place of its path and of its form, and with ids that nobody has in their stead: no
answer holds anything of the other that was not sent, and the two are the same. Whoever adds an address need not know of
this file: it walks the console's tables.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from tests.api.running_service import RunningService, running_service
from tests.attacks.console_asks import FIELDS, IN_FORMS, MADE_OF, NEEDED, OF_NOBODY, QUERIES, VERBS
from tests.attacks.tenant_asks import NEW, Pair, World, absent_for
from tests.attacks.tenant_world import Answer, Ask, Caller, Tenant, comparable, tenant
from tests.attacks.test_tenant_matrix import state_of
from tests.console.plain_browser import signed_in

from armillary.console.application import CHANGE, EDIT, LIVE, READ, UPLOAD
from armillary.console.frame.words import short_id
from armillary.console.sources import permissions, sources
from armillary.console.sources.request_context import RequestContext
from armillary.identity.signed_in import SignedIn

# Thousands of requests: half a minute alone, much more on a busy host.
pytestmark = pytest.mark.timeout(400)
# Pages say how long ago something was.
AGE = re.compile(r"\bjust now\b|\b[0-9]+ (?:s|min|h) ago\b")
AGAIN = 3
MULTIPART = b"multipart/form-data; boundary=x"
BILL = '{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}'


class Visitor(Caller):
    """Somebody who is signed in, and asks the console in the loop of the service, without TLS and sockets."""

    def __init__(self, service: RunningService, token: str) -> None:
        super().__init__(service, token)
        context = ssl.create_default_context(cafile=str(service.root))
        browser = signed_in(SimpleNamespace(url=service.address, context=context), token)
        self.cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        self.form_token = browser.form_token

    @classmethod
    def person(cls, service: RunningService, operator: SignedIn) -> Visitor:
        """A person who signed in by a provider: what a session holds then (``test_provider_sign_in.py`` does it whole)."""
        made = cls(service, service.token)
        made.cookie = f"__Host-armillary={service.service.sessions.open(operator, int(time.time()))}"
        (page,) = made.all((Ask("GET", "/account"),))
        made.form_token = re.findall(r'name="form_token" value="([0-9a-f]{128})"', page.text)[0]
        return made

    def _sent(self, ask: Ask) -> tuple[list[tuple[bytes, bytes]], bytes]:
        headers = [(b"cookie", self.cookie.encode()), (b"host", b"localhost"), (b"accept", b"text/html")]
        if ask.method == "GET":
            return headers, b""
        if ask.target.endswith("/bill"):
            return [*headers, (b"content-type", MULTIPART), (b"origin", b"https://localhost")], self._bill()
        sent = urlencode({**(ask.body or {}), "form_token": self.form_token}).encode()
        headers += [(b"content-type", b"application/x-www-form-urlencoded"), (b"origin", b"https://localhost")]
        return headers, sent

    def _bill(self) -> bytes:
        """A form with a bill of materials in it."""
        parts = (("form_token", self.form_token), ('document"; filename="x.json', BILL))
        return (
            "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts)
            + "--x--\r\n"
        ).encode()


@dataclass(frozen=True)
class Stage:
    """Who asks (``asker`` of ``mine``, or ``inner`` of an organisation in it), and ``theirs``, which is not shown."""

    world: World
    asker: Visitor
    inner: Visitor
    everybody: Visitor
    scope: str


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    # Nothing here is due by time, and a look at all that two owners have costs more than a page.
    with running_service(tmp_path_factory.mktemp("console"), console=True, planner_interval_s=3600.0) as service:
        mine, theirs = tenant(service, "zqmine"), tenant(service, "zqtheirs")
        inside = service.make_device().device_id
        place = {"product": mine.ids["product"], "group": mine.ids["device_group"]}
        service.service.registry.devices.claim(mine.name, [inside], actor="test", **place)
        for path, body in (
            ("organisations/inner", {"name": "Inner", "catalog": mine.name}),
            (f"devices/{inside}/organisation", {"organisation": "inner"}),
            (f"devices/{inside}/name", {"name": "inner device"}),
        ):
            assert service.call("PUT", f"/api/v1/{path}", body).status == 200
        tokens = service.service.tokens
        token = tokens.create("inner", "Administrator", actor="test", catalog=mine.name, organisation="inner").secret
        world = World(service, mine, theirs, Caller(service, mine.token), Caller(service, service.token))
        assert mine.person is not None
        visitors = [Visitor.person(service, mine.person), *(Visitor(service, each) for each in (token, service.token))]
        yield Stage(world, *visitors, scope=f"Inner of {mine.name}".lower())


# -- the matrix -------------------------------------------------------------------------------------------------------


def ids_of(path: str, who: Tenant) -> dict[str, str]:
    """What fills the path, the query or the form of an address."""
    kind = path.split("/")[1].removesuffix("s")
    ids = {**who.ids, "word": who.word, "hub_device": who.hub_device, "tile_id": "t", "number": who.ids["alert"]}
    ids |= {
        "group": ids["device_group"],
        "document_id": ids.get(f"{kind}_id", ""),
        "name": ids["template_name"],
        "version": "1",
        "feed": "RetailEval",
        "kind": "certificates",
        "equipment": ids["module"],
        "command": "reboot",
    }
    if "service-keys" in path:
        ids["name"] = ids["service_key"]
    if "enrolment-tokens" in path:
        ids["token_id"] = ids["enrolment_token"]
    return ids


def filled(path: str, ids: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: quote(ids[found[1]], safe="-._~"), path)


def places(path: str) -> list[str]:
    """What an owner's ids stand for in an address."""
    return [each for each in re.findall(r"\{(\w+)\}", path) if each not in OF_NOBODY]


def with_verbs(path: str) -> list[str]:
    """An address with each verb that it knows."""
    known = max((each for each in VERBS if path.startswith(each)), default="", key=len)
    return [path.replace("{verb}", verb) for verb in VERBS[known]] if "{verb}" in path else [path]


def addresses() -> list[tuple[str, str]]:
    """Method and address of everything that the console shows and does; pictures are nobody's."""
    read = [("GET", path) for path, *_ in (*READ, *EDIT, *LIVE) if not path.startswith("/pictures/")]
    return [*read, *(("POST", path) for path, *_ in (*UPLOAD, *CHANGE))]


def pairs(mine: Tenant, theirs: Tenant) -> Iterator[Pair]:
    """Every address with the other owner's ids in each place of its path, and every query and form that names one.

    What is about many rows is asked as it is.
    """
    for method, path in addresses():
        own, (field, body) = ids_of(path, mine), MADE_OF.get(path, ("body", {"name": "x"}))
        fields = {**FIELDS, field: json.dumps(body)}
        for them in _devices(path, theirs):
            named = places(path)
            if not named and method == "POST":
                continue  # it is sent with the other's ids in its fields below
            for foreign in sorted({tuple(named), *((each,) for each in named)}):
                absent = {each: absent_for(them, each) for each in foreign}
                for with_verb in with_verbs(path + (NEEDED.get(path, "") if method == "GET" else "")):
                    filling = (own | {each: them[each] for each in foreign}, own | absent)
                    yield _pair(path, method, with_verb, fields, filling)
    for path, queries in QUERIES.items():
        own, them = ids_of(path, mine), ids_of(path, theirs)
        for query in queries:
            absent = {each: absent_for(them, each) for each in re.findall(r"\{(\w+)\}", query)}
            filling = ({**own, **{each: them[each] for each in absent}}, own | absent)
            yield _pair(path, "GET", f"{path}?{query}", {}, filling)
    for path, fields, place in IN_FORMS:
        own, them = ids_of(path, mine), ids_of(path, theirs)
        asks, sent = list[Ask](), list[list[str]]()
        for given in (them[place], absent_for(them, place)):
            name = f"made-{next(NEW)}"
            form = {
                with_own(key, own).replace("*", given): with_own(value, own).replace("*", given)
                for key, value in fields.items()
            }
            asks.append(Ask("POST", filled(path, own), {**FIELDS, "name": name, "device_id": name, **form}))
            sent.append([given, short_id(given).short, name, *(own[each] for each in places(path))])
        yield Pair(path, asks[0], asks[1], (sent[0], sent[1]))


def with_own(text: str, own: Mapping[str, str]) -> str:
    """A text of a form with the asker's own ids in it; of what is JSON only the catalog is a place."""
    return re.sub(r"\{(catalog|product|device_group|image_id)\}", lambda found: own[found[1]], text)


def _devices(path: str, who: Tenant) -> list[dict[str, str]]:
    ids = ids_of(path, who)
    return [ids, {**ids, "device_id": who.hub_device}] if "{device_id}" in path else [ids]


def _pair(
    path: str, method: str, template: str, fields: Mapping[str, str], ids: tuple[Mapping[str, str], Mapping[str, str]]
) -> Pair:
    asks = [Ask(method, filled(template, each), None if method == "GET" else dict(fields)) for each in ids]
    used = re.findall(r"\{(\w+)\}", template)
    sent = [[each[name] for name in used if name not in OF_NOBODY] for each in ids]
    return Pair(path, asks[0], asks[1], (sent[0], sent[1]))


def shown(theirs: Tenant, answer: Answer, sent: list[str]) -> set[str]:
    """What an answer holds of the other owner that the request did not; the frame says for whom one is signed in."""
    there = {each for each in theirs.markers() if each in answer.text}
    if not there:
        return there  # nor without what was sent
    text = _without(answer, sent).text
    return {each for each in there if each in text}


def _without(answer: Answer, sent: list[str]) -> Answer:
    """An answer without what was sent, however an address writes it; of numbers only whole ones are taken out."""
    text = answer.text
    if "just now" in text or " ago" in text:
        text = AGE.sub("", text)
    for each in sorted((one.lower() for one in sent), key=len, reverse=True):
        if _is_number(each):
            text = re.sub(rf"\b{each}\b", "*", text)
        else:
            for written in dict.fromkeys((each, quote(each), quote_plus(each))):
                text = text.replace(written, "*")
    return Answer(answer.status, text)


def _is_number(sent: str) -> bool:
    """Of an alert or a run; the digits of a device's id may all be decimal as well."""
    return sent.isdigit() and len(sent) < 16


def same(theirs: Answer, nobody: Answer, sent: Iterable[str]) -> bool:
    """Whether two answers are one, but for what was sent for either and what is of chance."""
    if theirs == nobody:
        return True
    names = list(sent)
    first, second = (
        comparable(_without(answer, names), [each for each in names if not _is_number(each)])
        for answer in (theirs, nobody)
    )
    return first == second


@dataclass
class Walk:
    """What somebody was shown who asked a matrix.

    Attributes:
        asked: Addresses, each with its method.
        shown: Those whose answer has something of the other owner that was not sent.
        differ: Those that answer otherwise about the other owner's than about nobody's.
    """

    asked: set[tuple[str, str]] = field(default_factory=set)
    shown: dict[tuple[str, str], tuple[Ask, Answer, Answer]] = field(default_factory=dict)
    differ: dict[tuple[str, str], tuple[Ask, Answer, Answer]] = field(default_factory=dict)


def walk(visitor: Visitor, matrix: Iterable[Pair], theirs: Tenant, *frame: str, once_shown: bool = True) -> Walk:
    """Ask all of a matrix; ``frame`` is what every page says of who is signed in.

    Without ``once_shown`` an address that has shown something of the other is asked no more.
    """
    found = Walk()
    for pair in matrix:
        if not once_shown and (pair.theirs.method, pair.key) in found.shown:
            continue
        answers = visitor.all((pair.theirs, pair.nobody))
        address, seen = (pair.theirs.method, pair.key), (pair.theirs, answers[0], answers[1])
        found.asked.add(address)
        if any(shown(theirs, each, [*sent, *frame]) for each, sent in zip(answers, pair.sent, strict=True)):
            found.shown[address] = seen
        said = [*pair.sent[0], *pair.sent[1], *frame]
        # Pages draw up to now: where a second passed between the two, they are asked again. So is a form that was
        # refused, which changes nothing.
        is_harmless = pair.theirs.method == "GET" or all(each.status == 400 for each in answers)
        again = AGAIN if is_harmless else 0
        while not same(*answers, said) and again:
            again, answers = again - 1, visitor.all((pair.theirs, pair.nobody))
        if not same(*answers, said):
            found.differ[address] = seen
    return found


# -- the tests --------------------------------------------------------------------------------------------------------


def test_nothing_of_another_catalog_is_shown_and_its_rows_answer_as_absent_ones(stage: Stage) -> None:
    world = stage.world
    before, again = state_of(world), state_of(world)
    # What uses a template is looked at by who sees all: documents of others that name it, too.
    steady = {key for key, text in before.items() if again[key] == text and not key.endswith("/uses")}
    matrix = sorted(pairs(world.mine, world.theirs), key=lambda each: each.theirs.method)
    found = walk(stage.asker, matrix, world.theirs)
    assert found.shown == {}
    assert {
        address for address, (_, theirs, nobody) in found.differ.items() if nobody.status < 400 <= theirs.status
    } == {("POST", path) for path in MADE_OF}
    assert {path for _, path in found.differ} == set(MADE_OF), sorted(found.differ)
    after = state_of(world)
    assert {key for key in steady if after[key] != before[key]} == set()
    assert len(steady) > 60, "most of what the other owner has is looked at before and after"
    print(f"{len(found.asked)} addresses, {2 * len(matrix)} requests")


@pytest.mark.parametrize("owner", ["mine", "theirs"])
def test_nothing_of_a_catalog_beyond_the_organisation_is_shown_to_its_people(stage: Stage, owner: str) -> None:
    """Its own catalog's rows, devices of no organisation among them, and the other catalog's."""
    foreign = getattr(stage.world, owner)
    matrix = list(pairs(stage.world.mine, foreign))
    found = walk(stage.inner, matrix, foreign, stage.scope)
    assert found.shown == {}
    assert found.differ == {}
    print(f"{len(found.asked)} addresses, {2 * len(matrix)} requests")


def test_each_sees_what_is_theirs(stage: Stage) -> None:
    """What is refused above is refused because it is another's: with the own ids every page is there."""
    mine, found = stage.world.mine, {}
    for method, path in addresses():
        if method == "GET" and "{verb}" not in path and path not in NOT_FOR_ONE:
            answer = stage.asker.one("GET", filled(path + NEEDED.get(path, ""), ids_of(path, mine)))
            if answer.status not in (200, 303):
                found[path] = answer.status
    assert found == NOT_NOW
    for path in NOT_FOR_ONE:
        answer = stage.asker.one("GET", filled(path, ids_of(path, mine)))
        assert (answer.status, "you are not signed in for this." in answer.text) == (403, True), path
    pages = [
        stage.asker.one("GET", path).text for path in ("/fleet", "/updates", "/findings", "/dashboards", "/alerts")
    ]
    assert all(mine.word in each for each in pages)
    fleet = stage.inner.one("GET", "/fleet").text
    assert "inner device" in fleet
    assert f"{mine.word} device" not in fleet


# About all catalogs.
NOT_FOR_ONE = (
    "/applications",
    "/applications/{name}",
    "/audit",
    "/settings/tokens/{token_id}/revoke",
    "/releases",
    "/releases/{release_id}",
    "/releases/{release_id}/bill.json",
    "/releases/{release_id}/rollout",
    "/new-release",
    "/repository",
    "/signing-keys",
    "/os-feeds/{feed}/delete",
    "/traces/device/{device_id}/proof.json",
    "/traces/product/{catalog}/{product}/proof.json",
    "/traces/key/{key_serial}",
    "/traces/key/{key_serial}/trace.json",
    "/traces/key/{key_serial}/proof.json",
)
# What is the owner's and cannot be done as it is.
NOT_NOW = {
    "/account/new-passkey": 404,  # the asker signed in by a provider, and passkeys are of tokens
    "/account/passkeys/{passkey_id}/remove": 404,
    "/account/recovery-codes": 404,
    "/dashboards/{dashboard_id}/tiles/{tile_id}/command": 404,  # the tile is no command
    "/hub-devices/{device_id}/connect": 400,  # the device is no hub device
    "/templates/{name}/publish": 409,  # the newest version is the same
    "/templates/{name}/remove": 404,  # there is no such part
}


def test_without_the_check_and_the_catalog_the_matrix_finds_that_everything_is_shown(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of each layer: with either taken away pages leak, with both all of them do."""
    world = stage.world
    matrix = [each for each in pairs(world.mine, world.theirs) if each.theirs.method == "GET"]
    named = [each for each in matrix if each.sent[0]]  # lists have what forms of the walk above made, which name theirs

    def leaks(asked: list[Pair]) -> set[str]:
        """Addresses that show something of the other; one that has is asked no more."""
        found = set[str]()
        for pair in asked:
            if pair.key not in found:
                (answer,) = stage.asker.all((pair.theirs,))
                found |= {pair.key} if shown(world.theirs, answer, pair.sent[0]) else set()
        return found

    assert leaks(named) == set()
    with monkeypatch.context() as without:
        without.setattr(permissions, "check", lambda *_: None)
        unchecked = leaks(named)
        assert {"/devices/{device_id}", "/hub-devices/{device_id}", "/devices/{device_id}/twin"} <= unchecked

    def of_all(*given: Any) -> RequestContext:
        return RequestContext(*given[:4], None)

    monkeypatch.setattr(sources, "RequestContext", of_all)
    assert leaks(named) == set(), "without a catalog the check refuses what is narrowed"
    monkeypatch.setattr(permissions, "check", lambda *_: None)
    whole = leaks(matrix)
    assert unchecked < whole
    assert {"/fleet", "/updates/{rollout_id}", "/rules/{rule_id}", "/dashboards/{dashboard_id}"} <= whole
    assert len(whole) > 30, sorted(whole)


# About nobody's row: what is new names no other, a model is the sender's own.
NO_ROW = {
    ("GET", "/"), ("GET", "/help"), ("GET", "/account"), ("POST", "/account/sessions/{session_id}/end"), ("GET", "/new-template"), ("GET", "/releases"), ("GET", "/new-release"),
    ("GET", "/signing-keys"), ("GET", "/os-feeds/{feed}/delete"), ("POST", "/dashboards"),
    ("POST", "/exports/new/form"), ("POST", "/groups/new/form"), ("POST", "/templates/{name}/report"),
    ("GET", "/traces/key/{key_serial}"), ("GET", "/traces/key/{key_serial}/trace.json"),
    ("GET", "/traces/key/{key_serial}/proof.json"), ("GET", "/playbooks/{playbook}/{verb}"),
    # Passkeys are their own token's alone.
    ("GET", "/account/new-passkey"), ("GET", "/account/recovery-codes"),
    ("GET", "/account/passkeys/{passkey_id}/remove"), ("POST", "/account/passkeys/{passkey_id}/remove"),
    # Who sent packages, or saved a view, alone is shown them.
    ("GET", "/table-views/{view_id}/delete"), ("POST", "/table-views/{view_id}/delete"),
    ("POST", "/table-views/{view_id}/rename"),
    ("GET", "/new-image/{catalog}/{held_id}"), ("POST", "/new-image/{catalog}/{held_id}/{verb}"),
    ("POST", "/playbooks/{playbook}/{verb}"), ("GET", "/crash-dumps/{dump_id}/delete"),
    ("GET", "/add-devices/progress"),  # of devices that were claimed since now
    ("GET", "/applications"), ("GET", "/applications/{name}"), ("POST", "/applications/{name}/use"),
    ("GET", "/service-root.pem"),  # is everybody's
    ("GET", "/alerts/live"),  # how many are open, for who asks: tests/console/test_tables_browser.py
}  # fmt: skip


def test_the_same_walk_finds_all_of_it_for_who_speaks_for_all_catalogs(stage: Stage) -> None:
    """The control of the walk: every address gets as far as what is named. It changes things, so it comes last."""
    matrix = pairs(stage.world.mine, stage.world.theirs)
    # What is deleted, and whoever is disabled with their sessions, is asked last.
    ordered = sorted(
        matrix,
        key=lambda each: (each.theirs.method, any(word in each.theirs.target for word in ("delete", "/people/"))),
    )
    found = walk(stage.everybody, ordered, stage.world.theirs, once_shown=False)
    assert found.asked - set(found.differ) - set(found.shown) == NO_ROW
    assert len(found.shown) > 30, sorted(found.shown)
    print(f"{len(found.asked)} addresses: {len(found.shown)} show rows of the other, {len(found.differ)} differ")
