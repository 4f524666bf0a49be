# SPDX-License-Identifier: Apache-2.0
"""What uploads may take: bytes over parts and retries, requests at once, one file of two lists, and what is swept."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.api.running_service import RunningService, wait_until
from tests.attacks.test_hub_device_attacks import sas_device
from tests.hub.devices.test_file_upload import Uploader, device, listed, put, service

from armillary.api.native.hub import files as native_files
from armillary.engines.hub import uploads
from armillary.engines.hub.uploads import Upload
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.hub.devices import upload_room
from armillary.hub.devices.files import LIFETIME_S, FileUploads
from armillary.hub.hub import Hub

__all__ = ["device", "service"]
ROUNDS = 25


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now_s


def open_hub(folder: Path, clock: Clock) -> Hub:
    return Hub(folder, authenticate=lambda _: "nobody", clock=clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, clock: Clock) -> Iterator[FileUploads]:
    hub = open_hub(tmp_path / "hub", clock)
    yield hub.files
    asyncio.run(hub.close())


def send(files: FileUploads, upload: Upload, block: str | None, *chunks: bytes) -> None:
    with files.room.request(upload), files.part(upload, block) as part:
        for chunk in chunks:
            part.write(chunk)
        if block is None:
            files.finish(upload, "", part)
        else:
            part.keep()


def bytes_on_disk(files: FileUploads) -> int:
    return sum(path.stat().st_size for path in files._folder.rglob("*") if path.is_file() and path.suffix != ".key")


def refused(act: Callable[[], object], word: str) -> None:
    with pytest.raises(InvalidArgumentError, match=word):
        act()


def test_parts_of_a_file_are_counted_together_and_one_sent_again_replaces_its_bytes(
    files: FileUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_room, "MAX_FILE_BYTES", 1000)
    upload, _ = files.begin("camera", "film")
    send(files, upload, "a", b"a" * 200, b"a" * 200)
    send(files, upload, "b", b"b" * 400)
    refused(lambda: send(files, upload, "c", b"c" * 200, b"c" * 1), "over all of its parts")
    send(files, upload, "c", b"c" * 200)
    for _ in range(3):
        send(files, upload, "a", b"A" * 400)  # again: it takes the place of its bytes
    refused(lambda: send(files, upload, "a", b"A" * 401), "over all of its parts")
    assert bytes_on_disk(files) == 1000
    refused(lambda: files.finish(upload, "", ["a", "b", "a"]), "over all of its parts")
    refused(lambda: files.finish(upload, "", ["a", "gone"]), "not sent")
    assert bytes_on_disk(files) == 1000  # a refused list leaves the parts, and nothing else
    assert files.finish(upload, "", ["c", "b", "a"]).size == 1000
    found, path = files.content("camera", upload.upload_id)
    assert path.read_bytes() == b"c" * 200 + b"b" * 400 + b"A" * 400
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert bytes_on_disk(files) == 1000


def test_a_device_has_so_many_bytes_over_files_and_uploads_also_after_a_restart(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_DEVICE_BYTES", 1000)
    hub = open_hub(tmp_path / "hub", clock)
    files = hub.files
    first, second, third = (files.begin("camera", name)[0] for name in ("one", "two", "three"))
    send(files, first, None, b"1" * 500)
    send(files, second, "a", b"2" * 400)
    refused(lambda: send(files, third, "a", b"3" * 101), "of a device may have")
    send(files, third, "a", b"3" * 100)
    refused(lambda: files.finish(third, "", ["a", "a"]), "of a device may have")
    other, _ = files.begin("another", "its own")
    send(files, other, None, b"4" * 900)
    asyncio.run(hub.close())

    hub = open_hub(tmp_path / "hub", clock)
    files = hub.files
    refused(lambda: send(files, third, "b", b"3"), "of a device may have")
    files.delete("camera", first.upload_id)
    send(files, third, "b", b"3" * 500)
    refused(lambda: send(files, third, "c", b"3"), "of a device may have")
    assert files.finish(third, "", ["a", "b"]).size == 600
    assert files.finish(second, "", ["a"]).size == 400
    asyncio.run(hub.close())


def test_two_that_finish_one_upload_at_once_are_one_after_the_other(files: FileUploads) -> None:
    """Lists against lists, and wholes against wholes: one file, whole, with its digest; the other is told."""
    for number in range(ROUNDS):
        upload, _ = files.begin(f"camera-{number}", "film")
        send(files, upload, "a", b"a" * 300_000)
        send(files, upload, "b", b"b" * 200_000)
        start, results = threading.Barrier(2), []

        def finish(
            which: int,
            number: int = number,
            upload: Upload = upload,
            start: threading.Barrier = start,
            results: list[object] = results,
        ) -> None:
            with contextlib.ExitStack() as held:
                content: object = ["a", "b"] if which else ["b", "a"]
                if number % 2:
                    content = part = held.enter_context(files.part(upload, None))
                    part.write(b"%d" % which * 400_000)
                start.wait()
                try:
                    results.append(files.finish(upload, "", content))  # type: ignore[arg-type]
                except ConflictError as error:
                    results.append(error)

        threads = [threading.Thread(target=finish, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(type(each).__name__ for each in results) == ["ConflictError", "Upload"]
        found, path = files.content(upload.device_id, upload.upload_id)
        content = path.read_bytes()
        assert (found.size, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert len(content) == (400_000 if number % 2 else 500_000)
        assert not path.with_name(f"{upload.upload_id}.parts").exists()


def test_a_file_that_is_deleted_while_it_is_put_in_place_leaves_no_bytes(
    files: FileUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, _ = files.begin("camera", "film")
    send(files, upload, "a", b"a")
    sync = files._sync_folder

    def delete_before() -> None:
        sync()
        files.delete("camera", upload.upload_id)

    monkeypatch.setattr(files, "_sync_folder", delete_before)
    with pytest.raises(ConflictError):
        files.finish(upload, "", ["a"])
    assert bytes_on_disk(files) == 0
    with files.part(files.begin("camera", "film")[0], "b") as part:
        part.path.unlink()
        with pytest.raises(ConflictError):
            part.keep()


def test_what_is_over_is_swept_away_and_what_a_process_left_at_the_next_start(tmp_path: Path, clock: Clock) -> None:
    hub = open_hub(tmp_path / "hub", clock)
    files = hub.files
    kept, over, whole = (files.begin("camera", name)[0] for name in ("kept", "over", "whole"))
    send(files, whole, None, b"w" * 10)
    send(files, over, "a", b"o" * 10)
    files.sweep()
    assert files.find(over.upload_id) is not None  # the control: its address is good still
    clock.now_s += LIFETIME_S
    files.sweep()
    assert files.find(over.upload_id) is None
    assert files.find(kept.upload_id) is None
    assert bytes_on_disk(files) == 10
    late, _ = files.begin("camera", "late")
    send(files, late, "a", b"l" * 5)
    folder = files._folder
    asyncio.run(hub.close())

    unknown = folder / ("0" * 32)
    unknown.write_bytes(b"x")
    (folder / f"{whole.upload_id}.parts").mkdir()
    (folder / f"{whole.upload_id}.parts" / "joined.1").write_bytes(b"x")
    (folder / f"{late.upload_id}.parts" / "block-1.unfinished").write_bytes(b"x")
    (folder / late.upload_id).write_bytes(b"in its place, and not in the records")
    (folder / "address.note").write_bytes(b"not ours")
    hub = open_hub(tmp_path / "hub", clock)
    hub.files.sweep_strays()
    send(hub.files, late, "b", b"L" * 5)
    names = {str(path.relative_to(folder)).partition("/block-")[0] for path in folder.rglob("*")}
    assert names == {whole.upload_id, f"{late.upload_id}.parts", "address.key", "address.note"}
    assert hub.files.finish(late, "", ["a", "b"]).size == 10
    asyncio.run(hub.close())


def slow_block(service: RunningService, place: dict[str, str], number: int) -> ssl.SSLSocket:
    """A request for a block whose body does not end."""
    context = ssl.create_default_context(cafile=str(service.root))
    secure = context.wrap_socket(
        socket.create_connection(("localhost", service.port), timeout=20), server_hostname="localhost"
    )
    target = f"/device-files/{quote(place['blobName'])}{place['sasToken']}&comp=block&blockid={number}"
    secure.sendall(f"PUT {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nabc".encode())
    return secure


def under_way(service: RunningService, device: Uploader) -> int:
    return service.hub.files.room.of_device.of(device.name)


def test_a_device_takes_twenty_requests_however_slow_they_are(
    service: RunningService, device: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = device.begin("first"), device.begin("second")
    most = upload_room.MAX_DEVICE_REQUESTS
    held = [slow_block(service, first, number) for number in range(most)]
    wait_until(
        lambda: under_way(service, device) == most, "all have a place: so many blocks npm's client sends at once"
    )
    for place in (first, second):  # by each address that it has
        connection = slow_block(service, place, most)
        answer = connection.recv(4000)
        assert b" 503 " in answer.splitlines()[0]
        assert b"ServerBusy" in answer  # a header, too
        assert b"retry-after" in answer.lower()
        connection.close()
    name, keys = sas_device(service, "Contoso")
    other = Uploader(service, name, keys.primary)
    assert put(service, other.begin(), b"x").status == 201  # nobody else is kept out
    with monkeypatch.context() as without:  # the control: any number of places, as it was
        without.setattr(service.hub.files.room.of_device, "each", 1000)
        held += [slow_block(service, second, number) for number in range(most)]
        wait_until(lambda: under_way(service, device) == len(held), "all have a place")
    for connection in held:
        connection.close()
    wait_until(lambda: under_way(service, device) == 0, "the places are free again")
    assert put(service, first, b"x").status == 201


def test_a_body_that_does_not_end_is_ended_and_leaves_nothing(
    service: RunningService, device: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = device.begin()
    monkeypatch.setattr(native_files, "PUT_TIMEOUT_S", 0.3)
    connection = slow_block(service, place, 1)
    answer = connection.recv(4000)
    assert b" 408 " in answer.splitlines()[0]
    assert b"connection: close" in answer.lower()
    connection.close()
    monkeypatch.undo()
    assert under_way(service, device) == 0
    folder = service.hub.files._folder / f"{place['correlationId']}.parts"
    assert list(folder.iterdir()) == []
    assert put(service, place, b"x").status == 201


def test_what_has_no_length_is_counted_too(
    service: RunningService, device: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_room, "MAX_FILE_BYTES", 1000)
    place = device.begin()
    assert put(service, place, b"x" * 900, extra="&comp=block&blockid=a").status == 201
    path = f"/{place['containerName']}/{quote(place['blobName'])}{place['sasToken']}&comp=block&blockid=b"
    with contextlib.closing(service.connection()) as connection:
        connection.request("PUT", path, body=iter([b"y" * 60, b"y" * 60]), encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, b"over all of its parts" in response.read()) == (400, True)
    order = b"<BlockList><Latest>a</Latest></BlockList>"
    assert put(service, place, order, extra="&comp=blocklist").status == 201
    (found,) = listed(service, device)
    assert found["size"] == 900
