# SPDX-License-Identifier: Apache-2.0
"""Pinned packages come from a folder, or from the host's sources and then from the archive; always the pinned file.

The archive is one of ours with the documented paths of snapshot.debian.org, on this host: the real one is not asked.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pytest

from armillary.device_image.package_sources import apt, fetching, snapshot
from armillary.device_image.package_sources.fetching import Places, fetch, newest
from armillary.device_image.recipe import Pin
from armillary.errors import HostError, InvalidArgumentError

VERSION = "1:1.0+b2~deb13u1"


def content(name: str) -> bytes:
    return f"package {name}".encode() * 50_000


def pin(name: str) -> Pin:
    return Pin(name, VERSION, hashlib.sha256(content(name)).hexdigest())


class Sources:
    """What apt would do with a host whose lists have ``listed`` and whose mirror has ``here``."""

    def __init__(self, *here: str, listed: Sequence[str] | None = None) -> None:
        self.here = here
        self.listed = here if listed is None else listed
        self.calls: list[list[str]] = []

    def download(self, names: Sequence[str], folder: Path, _options: Sequence[str]) -> None:
        self.calls.append([each.partition(":")[0] for each in names])
        assert all(each.endswith(f":amd64={VERSION}") for each in names)
        gone = [name for name in self.calls[-1] if name not in self.listed]
        if gone:
            raise HostError(f"apt-get failed with 100: Version for {gone[0]} was not found")
        for name in self.calls[-1]:
            if name in self.here:
                (folder / f"{name}_1.0_amd64.deb").write_bytes(content(name))
        if not set(self.calls[-1]) <= set(self.here):
            raise HostError("apt-get failed with 100: 404 Not Found")

    def offered(self, pins: Sequence[Pin], _options: Sequence[str]) -> list[Pin]:
        return [each for each in pins if each.name in self.listed]


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    made = Sources()
    monkeypatch.setattr(apt, "download", made.download)
    monkeypatch.setattr(apt, "offered", made.offered)
    monkeypatch.setattr(fetching, "apt_options", lambda *_given, **_named: [])
    return made


class Archive:
    """An HTTP server with the paths of snapshot.debian.org, for packages by name."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.address = ""
        self.withheld = 0  # bytes that it promises and does not send

    def answer(self, path: str) -> bytes | None:
        self.asked.append(path)
        for name, data in self.files.items():
            digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
            if path == f"/mr/binary/{name}/{VERSION}/binfiles":
                others = [{"architecture": "riscv64", "hash": "0" * 40}, {"architecture": "amd64", "hash": digest}]
                return json.dumps({"binary": name, "result": others}).encode()
            if path == f"/file/{digest}":
                return data
        return None


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = made.answer(unquote(self.path))
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"") + made.withheld))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_given: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        made.address = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()


def brought(store: Path, *names: str) -> dict[str, Path]:
    return {name: store / f"{pin(name).sha256}.deb" for name in names}


def test_a_file_of_the_archive_is_had_by_its_sha1_or_nothing_of_it_stays(tmp_path: Path, archive: Archive) -> None:
    archive.files["one"] = b"of a source package"
    digest, file = hashlib.sha1(b"one", usedforsecurity=False).hexdigest(), tmp_path / "file"
    snapshot.fetch_file(digest, file, address=archive.address)
    assert file.read_bytes() == b"of a source package"
    archive.withheld = 5
    with pytest.raises(HostError, match="without its last 5 bytes"):
        snapshot.fetch_file(digest, file, address=archive.address)
    assert not file.exists()
    with pytest.raises(HostError, match="has no such version"):
        snapshot.fetch_file("0" * 40, file, address=archive.address)


def test_what_the_sources_have_is_one_call_of_apt(tmp_path: Path, sources: Sources, archive: Archive) -> None:
    sources.here = sources.listed = ("one", "two")
    found = fetch([pin("one"), pin("two")], tmp_path, architecture="amd64", places=Places(archive=archive.address))
    assert found == brought(tmp_path, "one", "two")
    assert sources.calls == [["one", "two"]]
    assert archive.asked == []
    assert sorted(tmp_path.iterdir()) == sorted(found.values()), "nothing half-done stays"
    fetch([pin("one"), pin("two")], tmp_path, architecture="amd64")
    assert len(sources.calls) == 1, "what is kept is not asked for again"


@pytest.mark.parametrize("listed", [("one",), ("one", "two")], ids=["not listed any more", "listed and gone"])
def test_a_version_that_is_gone_comes_from_the_archive(
    tmp_path: Path, sources: Sources, archive: Archive, listed: tuple[str, ...]
) -> None:
    sources.here, sources.listed = ("one",), listed
    archive.files["two"] = content("two")
    told: list[str] = []
    places = Places(archive=archive.address, told=told.append)
    found = fetch([pin("two"), pin("one")], tmp_path, architecture="amd64", places=places)
    assert {name: file.read_bytes() for name, file in found.items()} == {n: content(n) for n in ("one", "two")}
    assert told == [f"two {VERSION}: not at this host's sources any more, asking {archive.address}"]
    assert len(archive.asked) == 2


def test_another_file_of_the_archive_is_refused(tmp_path: Path, sources: Sources, archive: Archive) -> None:
    archive.files["two"] = content("two") + b"!"
    with pytest.raises(HostError, match=rf"two .*: the package that was fetched from {archive.address} is not the pi"):
        fetch([pin("two")], tmp_path, architecture="amd64", places=Places(archive=archive.address))
    assert sources.calls == [["two"]]
    assert [*tmp_path.iterdir()] == []


def test_another_file_of_the_sources_is_refused(
    tmp_path: Path, sources: Sources, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.here = sources.listed = ("two",)
    wrong = Pin("two", VERSION, "a" * 64)
    archive.files["two"] = content("two")
    with pytest.raises(HostError, match="from this host's sources is not the pinned one") as refused:
        fetch([wrong], tmp_path, architecture="amd64", places=Places(archive=archive.address))
    assert refused.value.code == "host", "nothing is missing: a pin, or who serves it, is wrong"
    assert archive.asked == []
    assert [*tmp_path.iterdir()] == []


def test_what_is_nowhere_names_both_places_and_the_way_out(tmp_path: Path, sources: Sources, archive: Archive) -> None:
    with pytest.raises(HostError) as refused:
        fetch([pin("two")], tmp_path, architecture="amd64", places=Places(archive=archive.address))
    assert f"two {VERSION} is not to be had" in refused.value.message
    assert "Version for two was not found" in refused.value.message
    assert f"{archive.address}: has no such version" in refused.value.message
    assert "armillary image pin" in refused.value.remedy
    assert refused.value.code == "host.packages-missing"
    assert sources.calls == [["two"]]
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (b"not JSON", "Expecting value"),
        (b"[]", "has no file of it for amd64"),
        (b'{"result": [{"architecture": "arm64", "hash": "' + b"0" * 40 + b'"}]}', "has no file of it for amd64"),
        (b'{"result": [{"architecture": "amd64", "hash": "../../etc/passwd"}]}', "has no file of it for amd64"),
    ],
)
def test_an_archive_that_answers_something_else_is_refused(
    tmp_path: Path,
    sources: Sources,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    named: str,
) -> None:
    monkeypatch.setattr(archive, "answer", lambda _path: answer)
    with pytest.raises(HostError, match=named):
        fetch([pin("two")], tmp_path, architecture="amd64", places=Places(archive=archive.address))
    assert sources.calls


def test_an_archive_that_is_not_there_is_named(tmp_path: Path, sources: Sources, archive: Archive) -> None:
    nobody = "http://127.0.0.1:9"
    with pytest.raises(HostError, match=r"http://127\.0\.0\.1:9: is not reached"):
        fetch([pin("two")], tmp_path, architecture="amd64", places=Places(archive=nobody))
    with pytest.raises(InvalidArgumentError, match=r"--snapshot: expected an address .* got 'file:///etc'"):
        fetch([pin("two")], tmp_path, architecture="amd64", places=Places(archive="file:///etc"))
    assert archive.asked == []
    assert sources.calls


def test_a_package_of_which_only_the_beginning_came_is_not_had(
    tmp_path: Path, sources: Sources, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.files["two"] = content("two")
    whole = archive.answer

    def answer(path: str) -> bytes | None:
        archive.withheld = 5 if path.startswith("/file/") else 0
        return whole(path)

    monkeypatch.setattr(archive, "answer", answer)
    with pytest.raises(HostError, match="gave two without its last 5 bytes") as refused:
        fetch([pin("two")], tmp_path, architecture="amd64", places=Places(archive=archive.address))
    assert refused.value.code == "host.packages-missing"
    assert sources.calls
    assert [*tmp_path.iterdir()] == []


def test_a_folder_of_packages_is_the_only_place(tmp_path: Path, sources: Sources) -> None:
    folder, store = tmp_path / "stick", tmp_path / "store"
    folder.mkdir()
    (folder / "whatever it is called.deb").write_bytes(content("one"))
    places = Places(folder=folder)
    assert fetch([pin("one")], store, architecture="amd64", places=places) == brought(store, "one")
    with pytest.raises(InvalidArgumentError, match=rf"stick: no file is the pinned two {VERSION[:3]}") as refused:
        fetch([pin("one"), pin("two")], store, architecture="amd64", places=places)
    assert "--packages" in refused.value.remedy
    with pytest.raises(InvalidArgumentError, match="--packages: expected a folder"):
        fetch([pin("two")], store, architecture="amd64", places=Places(folder=folder / "none"))
    assert sources.calls == []


def test_the_lists_say_which_versions_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    said = b" libc6 | 2.41-12 | http://deb.debian.org/debian trixie/main amd64 Packages\n   one | 2 | somewhere\n"
    asked: list[list[str]] = []

    def run(words: list[str]) -> bytes:
        asked.append(words)
        return said

    monkeypatch.setattr(apt, "run", run)
    pins = [Pin("libc6", "2.41-12", "a" * 64), Pin("one", "1", "b" * 64), Pin("two", "1", "c" * 64)]
    assert apt.offered(pins, ["-o", "x=y"]) == pins[:1]
    assert asked == [["apt-cache", "-o", "x=y", "madison", "libc6", "one", "two"]]


def test_the_newest_kernel_is_the_one_that_the_package_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    said = b"linux-image-cloud-amd64\n  Depends: linux-image-6.12.120+deb13-cloud-amd64\n  Depends: linux-base\n"
    monkeypatch.setattr(apt, "run", lambda _words: said)
    assert apt.newest_kernel("linux-image-cloud-amd64", []) == "linux-image-6.12.120+deb13-cloud-amd64"
    monkeypatch.setattr(apt, "run", lambda _words: b"linux-image-amd64\n")
    with pytest.raises(HostError, match="linux-image-amd64: expected that it needs one kernel, got none") as refused:
        apt.newest_kernel("linux-image-amd64", [])
    assert refused.value.code == "host.packages-missing"


def test_what_apt_does_not_get_has_a_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_given: object, **_named: object) -> bytes:
        raise HostError("apt-get failed with 100: 404 Not Found", remedy="Mend what it says, then again.")

    monkeypatch.setattr(apt, "run", run)
    for ask in (lambda: apt.download(["one"], tmp_path, []), lambda: apt.newest_kernel("linux-image-amd64", [])):
        with pytest.raises(HostError, match="404 Not Found") as refused:
            ask()
        assert (refused.value.code, refused.value.remedy) == ("host.packages-missing", "Mend what it says, then again.")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb: builds on Debian only")
def test_pinning_takes_the_newest_kernel_by_its_own_name(
    tmp_path: Path, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"linux-image-6.1-amd64_6.1_amd64.deb": b"linux-image-6.1-amd64 6.1", "one_1_all.deb": b"one 1"}
    asked: list[str] = []

    def download(names: Sequence[str], folder: Path, _options: Sequence[str]) -> None:
        asked.extend(names)
        for name in shown:
            (folder / name).write_bytes(name.encode())

    monkeypatch.setattr(apt, "download", download)
    monkeypatch.setattr(apt, "newest_kernel", lambda *_given: "linux-image-6.1-amd64")
    monkeypatch.setattr(fetching, "run", lambda words: shown[words[-1].name])
    pins = newest(["one"], tmp_path / "store", architecture="amd64", kernel="linux-image-amd64")
    assert asked == ["one:amd64", "linux-image-6.1-amd64:amd64"]
    assert [(each.name, each.version) for each in pins] == [("linux-image-6.1-amd64", "6.1"), ("one", "1")]
    assert {file.stem for file in (tmp_path / "store").iterdir()} == {each.sha256 for each in pins}
    assert sources.calls == []


def test_a_kept_package_that_was_changed_is_brought_again(tmp_path: Path, sources: Sources) -> None:
    sources.here = sources.listed = ("one", "two")
    found = fetch([pin("one"), pin("two")], tmp_path, architecture="amd64")
    with found["two"].open("r+b") as file:
        file.write(b"PACK")
    fetch([pin("one"), pin("two")], tmp_path, architecture="amd64")
    assert sources.calls == [["one", "two"], ["two"]]
    assert found["two"].read_bytes() == content("two")


def test_a_folder_that_is_none_is_refused_though_all_packages_are_kept(tmp_path: Path, sources: Sources) -> None:
    sources.here = sources.listed = ("one",)
    fetch([pin("one")], tmp_path / "store", architecture="amd64")
    with pytest.raises(InvalidArgumentError, match=r"--packages: expected a folder, got .*none"):
        fetch([pin("one")], tmp_path / "store", architecture="amd64", places=Places(folder=tmp_path / "none"))


def test_of_many_packages_that_a_folder_lacks_a_few_are_named(tmp_path: Path, sources: Sources) -> None:
    pins = [pin(f"package-{number}") for number in range(100)]
    with pytest.raises(InvalidArgumentError, match=r"package-4 .*, and 95 more$"):
        fetch(pins, tmp_path / "store", architecture="amd64", places=Places(folder=tmp_path))


def test_a_package_that_a_failing_stick_reads_otherwise_the_second_time_is_refused(
    tmp_path: Path, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = tmp_path / "stick", tmp_path / "store"
    folder.mkdir()
    (folder / "one.deb").write_bytes(content("one"))
    plain = shutil.copyfile

    def failing(_file: Path, copy: Path) -> None:
        copy.write_bytes(content("one")[:-1] + b"?")

    monkeypatch.setattr(shutil, "copyfile", failing)
    with pytest.raises(HostError, match=rf"one .*: the package that was fetched from {folder} is not the pinned one"):
        fetch([pin("one")], store, architecture="amd64", places=Places(folder=folder))
    assert [*store.iterdir()] == []
    monkeypatch.setattr(shutil, "copyfile", plain)
    assert fetch([pin("one")], store, architecture="amd64", places=Places(folder=folder)) == brought(store, "one")
    assert sources.calls == []


def test_what_a_fetch_that_was_killed_left_is_not_taken_and_goes(tmp_path: Path, sources: Sources) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming/two_0.9_amd64.deb").write_bytes(b"half")
    sources.here = sources.listed = ("one", "two")
    found = fetch([pin("one"), pin("two")], tmp_path, architecture="amd64")
    assert found == brought(tmp_path, "one", "two")
    assert sorted(tmp_path.iterdir()) == sorted(found.values())
