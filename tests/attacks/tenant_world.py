# SPDX-License-Identifier: Apache-2.0
"""Two owners on one service, each with a row of every kind; and a caller that asks the whole API in its own loop.

Everything that an owner has bears the owner's word, or is an id of chance: its presence in an answer to the other owner
is a leak.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Connection, select, text
from tests.api.central_client import Central, make_template
from tests.api.native.platform.test_native_rules import hot, say
from tests.api.native.service.test_native_firmware import told
from tests.api.running_service import CATALOGS, VERSION, RunningService, application, wait_until
from tests.attacks.tenant_person import signed_in_person
from tests.fixtures.cellular import SAID
from tests.fixtures.certificates import self_signed
from tests.fixtures.controllers import artifact as bridge_artifact
from tests.fixtures.device_logs import sent_log
from tests.fixtures.dumps import dump
from tests.fixtures.reports import crash
from tests.service.advisories.fleet import KEY, bill as components_bill, bundle as feed_bundle, osv, pem_of
from tests.wire.picture.drawn import titled

from armillary.api.azure import names, operations
from armillary.engines.hub.twins import changed_twin
from armillary.engines.records.queries import reports as report_rows
from armillary.engines.records.schema import schema
from armillary.hub.devices.files import CONTAINER
from armillary.service.crash_dumps.intake import DumpIntake
from armillary.service.watch.detections import Observation
from armillary.twin.document.document import report
from armillary.wire.device.cellular_status import encode_status
from armillary.wire.device.crash_dump import encode_dump
from armillary.wire.disclosure.submission import Submission

DEADLINE_S = 30.0  # an answer that takes longer is a fault of its own
ADVISORY = "PYSEC-2026-1"
RUNS = (
    "UPDATE device_status SET verdict = 'attested', checked_in_at = :now, installed = :installed"
    " WHERE device_number = (SELECT number FROM device WHERE device_id = :id)"
)
HOOK = {"kind": "webhook", "url": "https://example.com/hook"}
DASHBOARD = {"id": "t", "kind": "kpi", "x": 0, "y": 0, "w": 4, "h": 4}


@dataclass
class Tenant:
    """An owner.

    Attributes:
        word: Stands in every name that the owner gave.
        ids: What stands for ``{name}`` in a path, by name; ``for_key`` knows the exceptions.
        hub_device: A hub device of the owner.
        token: An Administrator's token of the catalog.
        person: An Administrator of the catalog who signs in by a provider.
    """

    service: RunningService
    word: str
    ids: dict[str, str] = field(default_factory=dict)
    hub_device: str = ""
    token: str = ""
    person: Any = None

    @property
    def name(self) -> str:
        """The catalog."""
        return self.ids["catalog"]

    def for_key(self, key: str) -> dict[str, str]:
        """What fills the path of a route."""
        found = dict(self.ids)
        if "/hub-service-keys/" in key:
            found["name"] = self.ids["service_key"]
        elif "/configurations/" in key:
            found["name"] = self.ids["configuration"]
        if "/enrolment-tokens/" in key:
            found["token_id"] = self.ids["enrolment_token"]
        if "/alerts/" in key:
            found["number"] = self.ids["alert"]
        if "/bridge-artifacts/" in key:
            found["image_id"] = self.ids["bridge_image"]
        if "/scheduledJobs/" in key:
            found["job"] = self.ids["scheduled"]
        return found

    def markers(self) -> frozenset[str]:
        """What shows that an answer is about this owner: the word, and every id of chance, in lower case."""
        long = {each.lower() for each in self.ids.values() if len(each) >= 16 and not each.startswith("0" * 8)}
        return frozenset(
            long - {*ROLES, self.ids["release_id"], self.ids["key_serial"].lower(), self.ids["repository_key"]}
            | {self.word, self.hub_device}
        )


ROLES = ("ca310b8d-2f4a-44e0-a36e-957c202cd8d4",)


def tenant(service: RunningService, word: str) -> Tenant:
    """An owner with a row of every kind."""
    made = Tenant(service, word)
    mark = f"{word}-{uuid.uuid4().hex[:8]}"
    made.ids |= {
        "subscription": "0", "resource_group": "rg", "location": "GLOBAL", "catalog": mark, "product": f"{word} product",
        "device_group": f"{word} group", "version": "1", "telemetry": "temperature", "label": "name", "command": "reboot",
        "component": "settings", "module": f"{word}module", "module_id": f"{word}module", "method": "reboot",
        "role": ROLES[0], "user": "nobody", "rerun": f"{word}rerun", "entry": "primary",
        "feed": "RetailEval", "log": "audit", "finding_kind": "hub-anomaly", "file": "x.svg", "name": "coffee-machine", "release_id": str(service.service.releases.list()[0].release_id),
        "key_serial": service.service.updates.trust_stores.signing_keys()[0].serial,
        "advisory_id": ADVISORY, "feed_name": "osv-pypi", "key_id": "0" * 64,
        "repository_key": service.service.repository.edition().root.signed.roles["root"].keyids[0], "bundle": str(uuid.UUID(int=0)), "playbook": "failing-rollout",
    }  # fmt: skip
    _registry(made)
    _devices(made)
    sent_log(service.service, made.ids["device_id"], word)
    service.service.cellular.take(made.ids["device_id"], encode_status(replace(SAID, operator=f"{word}-operator")))
    more = (_software, _crash, _crash_dump, _advisories, _case, _report, _action, _bridge, _authored, _hub, _channel)
    for make in more:
        make(made)
    made.person = signed_in_person(service, word, made.ids)
    assert service.call("GET", f"{CATALOGS}/{made.name}/images?{VERSION}").body["value"]
    return made


def _good(made: Tenant, method: str, path: str, body: object = None) -> Any:
    reply = made.service.call(method, f"/api/v1{path}", body)
    assert reply.status < 300, (method, path, reply.raw)
    return reply.body


def _registry(made: Tenant) -> None:
    registry, name, ids = made.service.service.registry, made.name, made.ids
    ids["catalog_id"] = str(registry.catalogs.create(name, actor="test", resource_group="rg").catalog_id)
    registry.products.create(name, ids["product"], actor="test")
    registry.groups.create(name, ids["product"], ids["device_group"], actor="test")
    registry.groups.create(name, ids["product"], "Staged", actor="test")
    token = made.service.service.tokens.create(f"{made.word}-boss", "Administrator", actor="test", catalog=name)
    made.token = token.secret
    more = made.service.service.tokens.create(f"{made.word}-more", "Reader", actor="test", catalog=name)
    ids |= {"token_id": str(more.token.token_id), "token": f"{made.word}-more"}
    ids["enrolment_token"] = _good(made, "POST", f"/catalogs/{name}/enrolment-tokens", {})["token_id"]
    made.service.service.hub_access.identities.set_admission(name, actor="test", symmetric_keys=True, certificates=True)


def _devices(made: Tenant) -> None:
    registry, ids, hub = made.service.service.registry, made.ids, made.service.hub
    device, given = made.service.make_device(), made.service.make_device()
    place = {"product": ids["product"], "group": ids["device_group"]}
    registry.devices.claim(made.name, [device.device_id, given.device_id], actor="test", **place)
    ids |= {"device": device.device_id, "device_id": device.device_id}
    other = registry.catalogs.create(f"third-{uuid.uuid4().hex[:8]}", actor="test")
    offer = made.service.service.registry.transfers.offer(made.name, given.device_id, other.catalog_id, actor="test")
    ids["transfer_id"] = str(offer.transfer_id)
    made.hub_device = f"{made.word}hubdevice"
    _good(made, "POST", f"/catalogs/{made.name}/hub-devices", {"device_id": made.hub_device, "authentication": "sas"})
    for each in (device.device_id, made.hub_device):
        _good(made, "POST", f"/hub-devices/{each}/modules", {"module_id": ids["module"]})
        _good(made, "PUT", f"/devices/{each}/name", {"name": f"{made.word} device"})
        _good(made, "PATCH", f"/devices/{each}/twin", {"tags": {"place": f"{made.word}-site"}})
        _good(made, "PATCH", f"/devices/{each}/twin", {"desired": {"pin": f"{made.word}-pin"}})
        _guardian(made, each)
    upload, permission = hub.files.begin(device.device_id, f"{made.word}.txt")
    ids["upload_id"] = upload.upload_id
    sent = made.service.call("PUT", f"/{CONTAINER}/{device.device_id}/{upload.name}{permission}", b"a file", token=None)
    assert sent.status == 201, sent.raw
    told(made.service, device.device_id)
    wire = made.service.service
    (authority,) = [one for one in wire.authority.catalogs.valid(uuid.UUID(ids["catalog_id"])) if one.kind == "catalog"]
    ids["serial"] = authority.serial
    ids["operation"] = operation_on(ids)


def _guardian(made: Tenant, device: str) -> None:
    """What a device reports as a guardian: of equipment that is its module, and who wanted something of that."""
    attempt = {"command": "reboot", "outcome": "refused", "rule": "value", "by": f"{made.word}-person"}
    machine = {"profile": f"{made.word}/profile", "version": 1, "link": "up", "attempts": [attempt]}
    section = {"guardian": {"boot": f"{made.word}boot", "equipment": {made.ids["module"]: machine}}}
    now_ms = int(time.time() * 1000)
    change = changed_twin(device, lambda twin: report(twin, section, now_ms=now_ms), now_ms=now_ms)
    made.service.hub.series.commits.submit(change).result(20)


def operation_on(ids: Mapping[str, str]) -> str:
    """The id of an operation whose result is a device."""
    place = {each: ids[each] for each in ("catalog", "product", "device_group", "device")}
    resource = names.resource_id(names.DEVICE, subscription="0", resource_group="rg", **place)
    return operations.encode(operations.new_operation(resource, at=1, has_result=True))


def _software(made: Tenant) -> None:
    ids, service = made.ids, made.service.service
    image_id, package = application(f"{made.word}App")
    service.updates.images.upload(made.name, package, actor="test")
    ids |= {"image": str(image_id), "image_id": str(image_id)}
    held = service.updates.held_packages.hold(made.name, [application("Held")[1]], actor=f"{made.word}@people.example")
    ids["held_id"] = held.held_id
    bill = components_bill("pkg:pypi/django@3.2.10")
    service.updates.bills.put_of_image(made.name, image_id, bill, actor="test")
    service.updates.bills.put_of_release(uuid.UUID(ids["release_id"]), bill, actor="test")
    place = (made.name, ids["product"])
    deployed = service.updates.deployments.create(*place, ids["device_group"], [image_id], actor="test")
    staged = service.updates.rollouts.start(*place, "Staged", [image_id], actor="test")
    ids |= {"deployment": str(deployed.deployment_id), "rollout_id": str(staged.rollout_id)}
    seen = Observation(
        kind="hub-anomaly", key=(made.word,), severity="low", title=f"{made.word} odd", cause="c",
        proposed_action="look", device_ids=(ids["device"],), catalog_id=uuid.UUID(ids["catalog_id"]),
    )  # fmt: skip
    ids["finding_id"] = str(service.watch.observe(seen).finding_id)
    value = {"pcr": 0, "event_type": "EV_S_CRTM_VERSION", "digest": "ab" * 32, "note": f"{made.word} value"}
    reply = made.service.call(
        "POST",
        f"/api/v1/catalogs/{made.name}/attestation-policy/firmware",
        {"chip": "imx8mp", "values": [value], "note": f"{made.word} note"},
    )
    ids["statement_id"] = reply.body["statement_id"] if reply.status == 201 else str(uuid.uuid4())


def _crash(made: Tenant) -> None:
    """A crash group with a report, and symbols."""
    ids, service = made.ids, made.service.service
    symbols = f"build-id {uuid.uuid4().hex} machine arm64\n1 1 {made.word}\n"
    ids["build_id"] = service.watch.symbols.put(made.name, symbols.encode(), actor="test").build_id
    report = crash(description=f"{made.word} crashed", image_id=uuid.UUID(ids["image_id"]))

    def add(connection: Connection) -> None:
        mine = schema.device.c.device_id == ids["device_id"]
        number = connection.execute(select(schema.device.c.number).where(mine)).scalar_one()
        report_rows.add(connection, number, [report], [], at=service.context.now())

    service.context.records.write(add)
    service.watch.run_once()
    (found,) = service.watch.crashes.list(made.name).items
    ids["crash_group"] = found.fingerprint


def _channel(made: Tenant) -> None:
    """A notification channel, whose target is never reached."""
    body = {"name": f"{made.word} desk", "kind": "e-mail", "options": {"to": [f"{made.word}@example.com"]}}
    body["min_severity"] = "critical"
    made.ids["channel_id"] = _good(made, "POST", f"/notification-channels?catalog={made.name}", body)["channel_id"]


def _crash_dump(made: Tenant) -> None:
    """A crash dump that the owner's device sent."""
    ids, service = made.ids, made.service.service
    service.crash_dumps.collect(made.name, ids["product"], ids["device_group"], actor="test", is_on=True, stacks="full")
    registers = (("rip", int.from_bytes(made.word.encode()[:8], "little")),)
    data = encode_dump(dump(image_id=uuid.UUID(ids["image_id"]), registers=registers))
    ids["dump_id"] = str(DumpIntake(service.context, service.authority.keys).take(ids["device_id"], data))


def _advisories(made: Tenant) -> None:
    """A feed of the whole service, which affects an image of the owner; the owner's device says that it runs it."""
    advisories, now = made.service.service.advisories, int(time.time())
    if not advisories.feeds():
        advisories.keys.trust("packer", pem_of(KEY), actor="test")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "bundle")
            path.write_bytes(feed_bundle([osv(ADVISORY)], as_of=now))
            advisories.import_bundle(path, actor="test")
    installed = json.dumps([[str(uuid.uuid4()), made.ids["image"], 10, f"{made.word}App", "running"]])
    values = {"id": made.ids["device"], "installed": installed, "now": now}
    made.service.service.context.records.write(lambda c: c.execute(text(RUNS), values))
    advisories.running.device_changed(made.ids["device"])
    advisories.look()
    shown = advisories.answers.devices(ADVISORY, made.name)
    assert [each["device_id"] for each in shown["items"]] == [made.ids["device"]]
    said = {"advisory": ADVISORY, "image": made.ids["image"], "status": "affected", "author": f"{made.word} author"}
    stated = _good(made, "POST", f"/advisory-statements?catalog={made.name}", said)
    made.ids["advisory_statement"] = stated["statement_id"]


def _case(made: Tenant) -> None:
    body = {"kind": "severe-incident", "title": f"{made.word} incident"}
    made.ids["case_id"] = _good(made, "POST", f"/cases?catalog={made.name}", body)["case_id"]
    made.ids["dossier_id"] = _good(made, "POST", f"/dossiers?catalog={made.name}", {})["dossier_id"]


def _report(made: Tenant) -> None:
    """A vulnerability report that was given to the owner."""
    disclosure = made.service.service.disclosure
    disclosure.policies.set({"is_open": True}, actor="test")
    given = Submission(title=f"{made.word} overflow", description=f"{made.word} pump")
    made.ids["reference"] = disclosure.reports.receive(given, address=made.word).reference
    disclosure.reports.assign(made.ids["reference"], made.name, made.ids["product"], actor="test")


def _action(made: Tenant) -> None:
    """An action that waits for a second person."""
    made.service.service.response.approvals.set(made.name, second_person_above=0, expires_after_s=3600, actor="test")
    body = {"kind": "re-attest", "target": {"devices": [made.ids["device"]]}, "reason": f"{made.word} reason"}
    found = _good(made, "POST", f"/actions?catalog={made.name}", body)
    assert found["state"] == "waiting"
    made.ids["action_id"] = found["action_id"]


def _bridge(made: Tenant) -> None:
    """A controller with an open action, an artifact, an upload under way and an authority."""
    service, word = made.service, made.word
    service.service.registry.groups.create(made.name, made.ids["product"], "Bridged", actor="test")
    place, group = f"/catalogs/{made.name}", {"product": made.ids["product"], "group": "Bridged"}
    made.ids["controller"] = f"{word}controller"
    _good(made, "PATCH", f"{place}/bridge-admission", {"target_tokens": True})
    _good(made, "POST", f"{place}/bridge-devices", {"controller": made.ids["controller"], **group})
    image = bridge_artifact(service, made.name, b"x", name=f"{word}artifact")["image_id"]
    made.ids["bridge_image"] = image
    service.service.updates.deployments.create(
        made.name, made.ids["product"], "Bridged", [uuid.UUID(image)], actor="test"
    )
    bridge = service.service.bridge
    bridge.actions.poll(bridge.devices.get(made.name, made.ids["controller"]))
    found = _good(made, "GET", f"{place}/bridge-devices/{made.ids['controller']}/actions")
    made.ids["action"] = str(found["items"][0]["action"])
    form = {"name": f"{word} next", "version": "1", "filename": "x", "size": 100, "sha256": "00" * 32}
    made.ids["upload"] = _good(made, "POST", f"{place}/bridge-artifacts", form)["upload_id"]
    with tempfile.TemporaryDirectory() as folder:
        _, pem, _ = self_signed(Path(folder), f"{word} authority", authority=True)
    made.ids["fingerprint"] = _good(made, "POST", f"{place}/bridge-authorities", {"certificate": pem})["fingerprint"]


def _authored(made: Tenant) -> None:
    ids, own, word = made.ids, {"catalog": made.name}, made.word
    central = Central(made.service, made.name, made.token)
    ids["template_id"] = make_template(central, f"{word}model", f"{word} degrees")
    names_of = {each for each in made.service.platform.templates.names() if word in each}
    (ids["template_name"],) = names_of
    ids |= {
        kind: f"{word}{kind.removesuffix('_id').replace('_', '')}"
        for kind in ("group_id", "job_id", "export_id", "rule_id", "dashboard_id", "organisation", "scheduled")
    }
    ids |= {"group": ids["group_id"], "job": ids["job_id"], "picture_id": f"{word}plan.svg"}
    _good(made, "PUT", f"/devices/{ids['device']}/template", {"template": ids["template_name"]})
    _good(made, "PUT", f"/groups/{ids['group_id']}", {"name": f"{word} group", "template": ids["template_name"], **own})
    _good(made, "PUT", f"/organisations/{ids['organisation']}", {"name": f"{word} organisation", **own})
    source = {"source": {"group": ids["group_id"]}, "value": "temperature"}
    _good(made, "PUT", f"/pictures/{ids['picture_id']}", {"name": f"{word} plan", "content": titled(word), **own})
    board = {"name": f"{word} board", "tiles": [{**DASHBOARD, **source}], **own}
    _good(made, "PUT", f"/dashboards/{ids['dashboard_id']}", board)
    sent = {"name": f"{word} export", "source": "telemetry", "destination": HOOK, "enabled": False, **own}
    _good(made, "PUT", f"/exports/{ids['export_id']}", sent)
    action = {"kind": "set-property", "properties": {"a": f"{word}-value"}}
    job = {"name": f"{word} job", "group": ids["group_id"], "action": action, **own}
    _good(made, "PUT", f"/jobs/{ids['job_id']}", job)
    run = _good(made, "POST", f"/jobs/{ids['job_id']}/runs", {})["number"]
    ids["number"] = str(run)
    wait_until(
        lambda: made.service.platform.jobs.store.run(ids["job_id"], run).state.value != "running", "the run's end"
    )
    _good(made, "PUT", f"/jobs/{ids['scheduled']}", {**job, "start": 1_900_000_000})
    device = made.ids["device"]
    rule = {
        **hot(made.name),
        "name": f"{word} rule",
        "conditions": [{"telemetry": f"{word}heat", "op": ">", "value": 1}],
    }
    _good(made, "PUT", f"/rules/{ids['rule_id']}", rule)
    say(made.service, device, {"temperature": 12.5, f"{word}heat": 31.25})
    store = made.service.platform.rules.store()
    (alert,) = wait_until(lambda: [it for it in store.alerts.after(0, 9) if it.catalog == made.name], "it fires")
    ids["alert"] = str(alert.number)


def _hub(made: Tenant) -> None:
    ids = made.ids
    place = f"/catalogs/{made.name}"
    key = _good(made, "POST", f"{place}/hub-service-keys", {"name": f"{made.word}key", "role": "Reader"})
    ids["service_key"] = key["name"]
    wanted = {"name": f"{made.word}enrolment", "group": True, "attestation": "symmetricKey"}
    ids |= {
        "enrolment_id": _good(made, "POST", f"{place}/hub-enrolments", wanted)["enrolment_id"],
        "enrollment": wanted["name"],
        "configuration": f"{made.word}configuration",
    }
    body = {"targetCondition": "tags.never = 1", "content": {"deviceContent": {"properties.desired.x": made.word}}}
    reply = made.service.call("PUT", f"/iothub/configurations/{ids['configuration']}?{VERSION}", body, token=made.token)
    assert reply.status in (200, 201), reply.raw


@dataclass(frozen=True)
class Answer:
    """What a call got.

    Attributes:
        text: The body, in lower case.
    """

    status: int
    text: str


@dataclass(frozen=True)
class Ask:
    """One request: ``target`` is path and query as they are sent."""

    method: str
    target: str
    body: Any = None


class Caller:
    """Asks with one token, in the loop of the service: all of the application, without TLS and sockets."""

    def __init__(self, service: RunningService, token: str) -> None:
        self.service, self.token, self.count = service, token, 0

    def all(self, asked: Iterable[Ask]) -> list[Answer]:
        """The answers, in order."""
        wanted = list(asked)
        self.count += len(wanted)
        return asyncio.run_coroutine_threadsafe(self._all(wanted), self.service.loop).result(600)

    def one(self, method: str, target: str, body: Any = None) -> Answer:
        """One answer."""
        return self.all([Ask(method, target, body)])[0]

    async def _all(self, asked: list[Ask]) -> list[Answer]:
        return [await asyncio.wait_for(self._one(each), DEADLINE_S) for each in asked]

    def _sent(self, ask: Ask) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Headers and body of a request."""
        sent = b"" if ask.body is None else json.dumps(ask.body).encode()
        headers = [(b"authorization", f"Bearer {self.token}".encode()), (b"host", b"localhost")]
        if sent:
            headers += [(b"content-type", b"application/json"), (b"content-length", str(len(sent)).encode())]
        return headers, sent

    async def _one(self, ask: Ask) -> Answer:
        path, _, query = ask.target.partition("?")
        headers, sent = self._sent(ask)
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": ask.method, "scheme": "https", "path": unquote(path), "raw_path": path.encode(),
            "query_string": query.encode(), "root_path": "", "headers": headers,
            "client": ("192.0.2.1", 1), "server": ("localhost", 443), "state": {},
        }  # fmt: skip
        status, parts, over, unread = 0, list[bytes](), asyncio.Event(), [sent]

        async def receive() -> Mapping[str, Any]:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                streams = any(b"event-stream" in value for _, value in message["headers"])
                if streams:
                    asyncio.get_running_loop().call_later(0.05, over.set)
            else:
                parts.append(message.get("body", b""))

        try:
            await self.service.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - an answer of its own: the test shows it
            return Answer(599, repr(error).lower())
        over.set()
        return Answer(status, b"".join(parts).decode("utf-8", "replace").lower())


# What differs between two equal answers: times, ids of requests and operations, how far a job of one's own has come.
_CHANCE = re.compile(
    r'"(?:requestid|time|instance|target|etag|generationid|token)":"(?:[^"\\]|\\.)*"'
    r"|\b[0-9]{4}-[0-9]{2}-[0-9]{2}t[0-9:.]+z|\b1[0-9]{9}(?:[0-9]{3})?\b"  # times: a second may end between the two
    r'|"status":"(?:running|complete)"|"progress":\{"total":1,[^}]*\}(?:,"end":"[^"]*")?|challenge&#34;: &#34;[^&]+'
    r'|name="form_token" value="[0-9a-f]{128}"'  # masked anew for each page
)
# The shortest beginning of an id that errors show.
_SHOWN = 8


def comparable(answer: Answer, names_sent: Iterable[str]) -> tuple[int, str]:
    """An answer without what was sent and what is of chance: answers about another's and about nothing are equal."""
    text = _CHANCE.sub("", answer.text)
    sent = sorted({each.lower() for each in names_sent}, key=len, reverse=True)
    for each in sent:
        text = text.replace(each, "*")
    for each in sent:  # errors show the beginning of what is long
        for end in range(len(each), _SHOWN - 1, -1) if each[:_SHOWN] in text else ():
            if each[:end] in text:
                text = text.replace(each[:end], "*")
                break
    return answer.status, text
