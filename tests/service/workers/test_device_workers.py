# SPDX-License-Identifier: Apache-2.0
"""Device workers: real processes on one port that know what the service knows, and come back when they die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from tests.engines.softhsm import make_token, needs_softhsm
from tests.fixtures.processes import killed_process
from tests.fixtures.reports import installed
from tests.fixtures.waiting import wait_until
from tests.service.workers.worker_places import at_each, check_in, pids, verdicts, workers_of
from tests.update.delta.pairs import noise

from armillary.api.views.status import _device_endpoint
from armillary.engines.acceptor import reserve
from armillary.errors import (
    HostError,
    InvalidArgumentError,
    KeyPassphraseError,
    PortInUseError,
    ServiceUnreachableError,
)
from armillary.service.repository.ceremony import KeyChange
from armillary.service.watch import heartbeat
from armillary.service.workers import device_workers, process as worker_process
from armillary.service.workers.device_worker import settings_from_text, settings_to_text
from armillary.service.workers.process import WorkerProcess
from armillary.settings import Settings, load_settings
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, read_answer
from armillary.wire.device import worker_message
from armillary.wire.device.finding import Finding
from armillary.wire.device.hint import parse_hint
from armillary.wire.device.problem import parse_problem
from armillary.wire.device.update_status import UpdateStatus
from armillary.wire.device.worker_message import Done, Message, Ready, Start, Stream, encode
from armillary.wire.update.directive import UnverifiedDirective, parse_directive

CLOSED = (OSError, ServiceUnreachableError)
PASSPHRASE = "a passphrase of the owner"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceHost]:
    """Two workers for all tests that leave the pool whole; each has a catalog of its own."""
    data = tmp_path_factory.mktemp("shared") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARMILLARY_KEY_PASSPHRASE", PASSPHRASE)
        with ServiceHost(data, device_workers="2", key_passphrase=PASSPHRASE) as running:
            yield running


def admitted(host: ServiceHost, secret: bytes, catalog: str) -> WireDevice:
    """A device of a new catalog."""
    host.catalog(catalog)
    return host.claimed(secret, catalog=catalog)


def refused(device: WireDevice) -> str:
    answer = device.exchange("GET", "/v1/challenge")
    assert answer.status != 200
    return parse_problem(answer.body).code


def test_both_workers_serve_on_one_port_say_so_and_end_with_the_service(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data", device_workers="2", planner_interval_s=3600.0) as host:
        host.catalog()
        check_both_serve(host)
        port, ended = host.service.device_address.port, pids(host)
    assert len(ended) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in ended)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the devices' connections are remembered a while
        free.bind(("127.0.0.1", port))


def check_both_serve(host: ServiceHost) -> None:
    devices = at_each(host, host.claimed(b"b" * 32))
    for _ in range(2):
        assert verdicts(devices) == ["attested", "attested"]
    wait_until(lambda: [one["check_ins"] for one in workers_of(host).describe()] == [2, 2], "the heartbeats")
    found = host.service.health()
    assert found["ok"]
    assert found["device_endpoint"]["counts"]["check-ins"] == 4  # type: ignore[index]
    assert [one["state"] for one in found["device_endpoint"]["workers"]] == ["ready", "ready"]  # type: ignore[index]
    assert len(host.service.registry.history.check_ins(devices[0].device_id).items) == 4


def test_a_claim_and_a_revocation_hold_at_both(shared: ServiceHost) -> None:
    shared.catalog("Claims")
    device = shared.device(b"c" * 32)
    with pytest.raises(Exception, match="unclaimed"):
        at_each(shared, device)
    shared.service.registry.devices.claim("Claims", [device.device_id], product="Kettle", group="Production", actor="t")
    devices = at_each(shared, device)
    assert verdicts(devices) == ["attested", "attested"]
    shared.service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="t")
    for one in devices:
        one.connect()
        assert refused(one) == "device.revoked"
    shared.service.registry.lifecycle.restore(device.device_id, actor="t")
    assert verdicts(devices) == ["attested", "attested"]


@pytest.mark.parametrize("asked", ["device", "group"])
def test_check_now_reaches_a_device_whichever_worker_it_waits_at(
    shared: ServiceHost, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.catalog(f"Hints{asked}")
    place, seed = {"catalog": f"Hints{asked}", "product": "Kettle"}, asked.encode().ljust(31)
    waiting, others = at_each(shared, shared.claimed(seed + b"1", **place)), shared.claimed(seed + b"2", **place)
    assert verdicts(waiting) == ["attested", "attested"]
    held = [one._socket for one in waiting if one._socket is not None]  # at each worker its own
    for connection in held:
        connection.sendall(b"GET /v1/hint HTTP/1.1\r\nhost: x\r\n\r\n")
    assert verdicts(at_each(shared, others)) == ["attested", "attested"]  # by then each worker has read its request
    if asked == "device":
        shared.service.updates.check_now.ask(waiting[0].device_id, actor="t")
    else:
        monkeypatch.setattr(worker_message, "MAX_CHANGED", 1)  # of two devices the other one comes in another portion
        assert shared.service.updates.check_now.ask_group(*place.values(), "Production", actor="t") == 2
    assert [parse_hint(read_answer(connection).body) for connection in held] == [True, True]


def test_a_policy_and_a_withdrawn_release_hold_at_both(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data", device_workers="2") as host:
        service = host.service
        devices = at_each(host, admitted(host, b"p" * 32, "Policies"))
        assert verdicts(devices) == ["attested", "attested"]
        service.attestation.policies.revise("Policies", {"minimum_tier": "tpm"}, actor="t")
        assert verdicts(devices) == ["update-only", "update-only"]
        service.attestation.policies.revise("Policies", {"minimum_tier": "software"}, actor="t")
        assert verdicts(devices) == ["attested", "attested"]
        (release,) = service.releases.list(chip="mt3620")
        service.releases.withdraw(release.release_id, "its loader accepts any key", actor="t")
        assert verdicts(devices) == ["update-only", "update-only"]


def test_a_deployment_is_offered_by_both(shared: ServiceHost, package: Callable[..., bytes]) -> None:
    devices = at_each(shared, admitted(shared, b"d" * 32, "Deployments"))
    assert verdicts(devices) == ["attested", "attested"]
    image = shared.service.updates.images.upload("Deployments", package(), actor="t")
    made = shared.service.updates.deployments.create("Deployments", "Kettle", "Production", [image.image_id], actor="t")
    for device in devices:
        offer = check_in(device, devices).offer
        assert offer is not None
        assert offer.deployment_id == made.deployment_id
        assert device.exchange("GET", f"/v1/images/{image.image_id}").status == 200
    shared.service.updates.deployments.delete("Deployments", made.deployment_id, actor="t")
    for device in devices:
        assert check_in(device, devices).offer is None


def test_a_release_is_offered_by_both_from_its_publication_to_its_end(shared: ServiceHost) -> None:
    devices, service = at_each(shared, admitted(shared, b"R" * 32, "Releases")), shared.service
    for device in devices:
        device.update_status = UpdateStatus(abilities=("os",))

    def offered() -> list[str]:
        offers = [check_in(device, devices).offer for device in devices]
        return ["" if offer is None else offer.os_version for offer in offers]

    draft = service.attestation.drafts.create("mt3620", "27.1", feed="Retail", actor="t")
    assert offered() == ["", ""]
    service.attestation.drafts.publish(draft.release_id, actor="t")
    assert offered() == ["27.1", "27.1"]
    service.releases.withdraw(draft.release_id, "it hangs", actor="t")
    assert offered() == ["", ""]


def test_both_sign_directives_whose_versions_rise_by_the_key_in_force(
    shared: ServiceHost, package: Callable[..., bytes]
) -> None:
    devices, service = at_each(shared, admitted(shared, b"D" * 32, "Directives")), shared.service
    for device in devices:
        device.update_status = UpdateStatus(abilities=("directive",))

    def directives() -> list[UnverifiedDirective]:
        image = service.updates.images.upload("Directives", package(), actor="t")
        service.updates.deployments.create("Directives", "Kettle", "Production", [image.image_id], actor="t")
        return [parse_directive(check_in(device, devices).directive or b"") for device in devices]

    first = directives()
    service.ceremony.propose([KeyChange(role="director", online=1)], actor="t")
    second = directives()
    versions = [each.claims.version for each in (*first, *second)]
    assert versions == sorted(set(versions))
    assert len({each.key_id for each in first}) == len({each.key_id for each in second}) == 1
    assert first[0].key_id != second[0].key_id


def test_a_delta_is_made_once_for_both(shared: ServiceHost, package: Callable[..., bytes]) -> None:
    devices, component, content = at_each(shared, admitted(shared, b"e" * 32, "Deltas")), uuid4(), noise(1, 50_000)
    old, new = (
        shared.service.updates.images.upload("Deltas", package(component, content=each), actor="t")
        for each in (content, content[:20_000] + b"new" + content[20_000:])
    )
    shared.service.updates.deployments.create("Deltas", "Kettle", "Production", [new.image_id], actor="t")
    for device in devices:
        device.installed = (installed(old),)
        assert check_in(device, devices).offer is not None
    path = f"/v1/delta/{old.sha256.hex()}/{new.sha256.hex()}"

    def delta(device: WireDevice) -> bytes:
        def made() -> bytes | None:
            answer = device.exchange("GET", path)
            assert answer.status in (200, 429), answer.body  # 429: it is being made
            return answer.body if answer.status == 200 else None

        body: bytes = wait_until(made, "the delta is made")
        return body

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(delta, devices))
    assert 0 < len(answers[0]) < 2000
    assert answers[0] == answers[1]
    assert len(list(shared.service.context.folder.deltas.iterdir())) == 1


def test_a_renewed_issuing_authority_signs_at_both(tmp_path: Path) -> None:
    offset = [0.0]  # of the service's clock; those of the workers go on
    with ServiceHost(tmp_path / "data", device_workers="2", clock=lambda: time.time() + offset[0]) as host:
        host.catalog()
        devices = at_each(host, host.claimed(b"i" * 32))
        before, after = (set[bytes](), set[bytes]())
        for found in (before, after):
            for device in devices:
                found.add(check_in(device, devices).certificate_chain[1])
            offset[0] = 70 * 86_400.0
            host.service.authority.renew()
        assert len(before) == len(after) == 1
        assert before != after


def test_a_new_silicon_authority_is_trusted_by_both_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offset = [-100 * 86_400.0]  # the service was made then; the workers' clocks are right
    with ServiceHost(tmp_path / "data", device_workers="2", clock=lambda: time.time() + offset[0]) as host:
        host.catalog()
        maker = host.service.chips.get("mt3620").maker
        offset[0] = -50 * 86_400.0
        genuine = device_workers.DeviceWorkers._send
        monkeypatch.setattr(device_workers.DeviceWorkers, "_send", lambda *_, **__: None)
        host.service.authority.silicon.renew(maker, actor="t")
        device = host.claimed(b"n" * 32)
        with pytest.raises(CLOSED):  # positive control: nobody told the workers
            device.fetch_challenge()
        monkeypatch.setattr(device_workers.DeviceWorkers, "_send", genuine)
        offset[0] = 0.0
        host.service.authority.renew()  # what has ended since then
        host.service.authority.silicon.renew(maker, actor="t")
        assert verdicts(at_each(host, device)) == ["attested", "attested"]
        assert verdicts(at_each(host, host.claimed(b"o" * 32))) == ["attested", "attested"]


def test_a_worker_that_dies_comes_back_is_counted_and_a_finding(shared: ServiceHost) -> None:
    def found() -> int:
        return sum(one.count for one in seen())

    def seen() -> list[Finding]:  # a busy host may have seen another: that one worker was silent
        listed = shared.service.watch.list(kind="verifier-behind").items
        return [one for one in listed if one.title == "A device worker has died"]

    def restarts() -> list[int]:
        return [int(str(one["restarts"])) for one in workers_of(shared).describe()]

    devices = at_each(shared, admitted(shared, b"k" * 32, "Deaths"))
    (dead, other), before, (of_first, of_second) = pids(shared), found(), restarts()
    os.kill(dead, signal.SIGKILL)
    assert devices[0]._socket is not None
    # Only read: Python leaves the error of a broken write to the thread's next read, of the other connection
    # (github.com/python/cpython/issues/148594).
    with pytest.raises(CLOSED):
        read_answer(devices[0]._socket)
    assert verdicts(devices[1:]) == ["attested"]
    wait_until(lambda: workers_of(shared).is_whole and dead not in pids(shared), "another worker")
    assert pids(shared)[1] == other
    assert restarts() == [of_first + 1, of_second]
    wait_until(lambda: found() > before, "the finding")
    assert [one.severity for one in seen()] == ["medium"]
    assert verdicts(at_each(shared, devices[0])) == ["attested", "attested"]


def test_a_worker_that_does_not_answer_is_killed_before_the_call_returns(
    shared: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = admitted(shared, b"s" * 32, "Stuck")
    stuck = at_each(shared, device)[0]
    pid = pids(shared)[0]
    monkeypatch.setattr(device_workers, "ANSWER_S", 0.5)
    os.kill(pid, signal.SIGSTOP)
    shared.service.registry.lifecycle.revoke(device.device_id, reason="stolen", actor="t")
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(CLOSED):
        stuck.check_in()
    wait_until(lambda: workers_of(shared).is_whole and pid not in pids(shared), "another worker")
    for one in range(8):
        device.connect()
        assert refused(device) == "device.revoked", one


def test_a_worker_that_stands_still_raises_the_alarm_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(heartbeat, "STOPPED_AFTER_S", 2.0)  # two heartbeats
    monkeypatch.setattr(device_workers, "SILENT_S", 4.0)
    with ServiceHost(tmp_path / "data", device_workers="2", planner_interval_s=3600.0) as host:
        wait_until(lambda: host.service.health()["ok"], "both workers")
        pid = pids(host)[1]
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: host.service.health()["verifier"] == {"ok": False, "state": "stopped"}, "the alarm")
        wait_until(lambda: pid not in pids(host) and workers_of(host).is_whole, "another worker")
        wait_until(lambda: host.service.health()["ok"], "recovery")
        found = {one.severity for one in host.service.watch.list(kind="verifier-behind").items}
        assert "critical" in found


def test_a_worker_that_cannot_come_back_is_an_alarm_and_the_other_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(heartbeat, "STOPPED_AFTER_S", 2.0)
    monkeypatch.setattr(worker_process, "BACK_OFF_S", (0.0, 0.1))
    with ServiceHost(tmp_path / "data", device_workers="2", planner_interval_s=3600.0) as host:
        host.catalog()
        device = host.claimed(b"a" * 32)
        genuine = worker_process.PROGRAM
        monkeypatch.setattr(worker_process, "PROGRAM", "armillary.no_such_module")
        os.kill(pids(host)[0], signal.SIGKILL)
        wait_until(lambda: not workers_of(host).is_whole, "the end of the worker")
        for _ in range(8):  # every connection comes to the one that is left
            device.connect()
            assert device.fetch_challenge()
        wait_until(lambda: host.service.health()["verifier"] == {"ok": False, "state": "stopped"}, "the alarm")
        assert not host.service.health()["ok"]
        assert _device_endpoint(host.service)[0] == "degraded"
        assert workers_of(host).describe()[0]["restarts"] >= 2  # type: ignore[operator]
        host.service.registry.lifecycle.revoke(device.device_id, reason="t", actor="t")  # nobody waits for the dead
        monkeypatch.setattr(worker_process, "PROGRAM", genuine)
        wait_until(lambda: host.service.health()["ok"], "recovery")


# A worker that does not ask the system to be killed with the service.
ORPHAN = """
import asyncio, sys
from armillary.service.workers import device_worker
sys.exit(asyncio.run(device_worker.serve(int(sys.argv[1]))))
"""


@pytest.mark.parametrize("last", [b"", b"\xff" * 8, encode(Done(1))], ids=["end of file", "no message", "not ours"])
def test_a_worker_ends_when_the_service_is_gone_or_makes_no_sense(shared: ServiceHost, last: bytes) -> None:
    ours, theirs = socket.socketpair()
    held, port = reserve("test", "127.0.0.1", 0)
    with ours, theirs, held[0]:
        ours.settimeout(30)
        ours.sendall(encode(Start(settings_to_text(shared.service.settings), port, "localhost", 1)))
        with killed_process(
            [sys.executable, "-c", ORPHAN, str(theirs.fileno())], pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL
        ) as worker:
            theirs.close()
            stream, heard = Stream(), list[object]()
            while not any(isinstance(one, Ready) for one in heard):
                heard += stream.feed(ours.recv(4096))
            if last:
                ours.sendall(last)
            else:
                ours.close()
            assert worker.wait(5) == 1


def test_a_worker_that_makes_no_sense_is_replaced(shared: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = workers_of(shared)
    (first, second), genuine = pids(shared), pool._take
    nonsense = [first]

    def take(worker: WorkerProcess, message: Message) -> None:
        if nonsense and worker.pid == nonsense[0]:
            nonsense.clear()
            message = Start("{}", 1, "localhost", 1)  # which only the service says
        genuine(worker, message)

    monkeypatch.setattr(pool, "_take", take)
    wait_until(lambda: pool.is_whole and first not in pids(shared), "another worker")
    assert pids(shared)[1] == second


def test_a_port_that_somebody_has_is_refused_and_nobody_takes_ours(shared: ServiceHost, tmp_path: Path) -> None:
    port = shared.service.device_address.port
    for workers in ("0", "2"):
        with pytest.raises(PortInUseError):
            ServiceHost(tmp_path / f"two{workers}", device_workers=workers, device_port=port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortInUseError):
            ServiceHost(tmp_path / "three", device_workers="2", device_port=taken.getsockname()[1])


def test_the_passphrase_is_in_no_command_line_and_no_environment(shared: ServiceHost) -> None:
    assert os.environ["ARMILLARY_KEY_PASSPHRASE"] == PASSPHRASE  # they were started with it
    assert verdicts(at_each(shared, admitted(shared, b"w" * 32, "Passphrases"))) == ["attested", "attested"]
    for pid in pids(shared):
        for name in ("cmdline", "environ"):
            assert PASSPHRASE.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_a_worker_that_cannot_start_says_why_and_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = settings_to_text
    monkeypatch.setattr(
        device_workers,
        "settings_to_text",
        lambda settings: genuine(settings).replace('"key_passphrase": ""', f'"key_passphrase": "{PASSPHRASE}"'),
    )
    with pytest.raises(HostError, match="is not that of") as caught:
        ServiceHost(tmp_path / "data", device_workers="2")
    assert caught.value.code == KeyPassphraseError.code
    assert caught.value.remedy == KeyPassphraseError.remedy


@needs_softhsm
def test_keys_in_a_token_are_no_business_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = make_token(tmp_path, "kept-away", monkeypatch)
    address = {"pkcs11_module": str(token.module), "pkcs11_token": token.token, "pkcs11_pin_file": str(token.pin_file)}
    assert "kept-away" not in settings_to_text(Settings(data=tmp_path / "elsewhere", **address))  # type: ignore[arg-type]
    with ServiceHost(tmp_path / "data", device_workers="2", **address) as host:
        host.catalog()
        assert verdicts(at_each(host, host.claimed(b"h" * 32))) == ["attested", "attested"]


def test_the_one_process_form_loads_nothing_of_it() -> None:
    code = (
        "import sys, armillary.roles.serve; print([name for name in sys.modules if 'worker' in name and 'arm' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_survive_the_trip() -> None:
    settings = Settings(data=Path("/x/ä"), device_workers="2", key_passphrase=PASSPHRASE, check_in_jitter=0.25)
    assert settings_from_text(settings_to_text(settings)) == settings


@pytest.mark.parametrize("wrong", ["-1", "65", "many", "", "1.5"])
def test_a_wrong_number_of_workers_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidArgumentError, match="device_workers"):
        Settings(device_workers=wrong)


def test_the_number_of_workers_comes_from_every_source(tmp_path: Path) -> None:
    config = tmp_path / "armillary.toml"
    config.write_text("device_workers = 3\n")
    assert load_settings(config, {}, {}).device_worker_count == 3
    assert load_settings(config, {}, {"ARMILLARY_DEVICE_WORKERS": "4"}).device_worker_count == 4
    assert load_settings(config, {"device_workers": "auto"}, {}).device_worker_count == len(os.sched_getaffinity(0))
    assert load_settings(None, {}, {}).device_worker_count == 0
