# SPDX-License-Identifier: Apache-2.0
"""Python packages of an image: unpacked once for each set, and again where what is kept was changed. uv is played."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from armillary.device_image import distributions
from armillary.device_image.tools import last_words
from armillary.errors import HostError

WANTED = {"pulse": "pulse==1.0 --hash=sha256:ab"}


class Uv:
    """Puts a module where it is told to, and remembers what it was told."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str | Path]] = []
        self.environment: dict[str, str] = {}

    def __call__(self, words: Sequence[str | Path], *, environment: dict[str, str]) -> bytes:
        self.asked.append(words)
        self.environment = environment
        (Path(words[words.index("--target") + 1]) / "pulse.py").write_text("rate = 1\n")
        cache = Path(environment.get("UV_CACHE_DIR", "/nowhere"))
        if cache.is_dir():
            (cache / "pulse-1.0").touch()
        return b""


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch) -> Uv:
    played = Uv()
    monkeypatch.setattr(distributions, "run", played)
    monkeypatch.setattr(distributions, "_uv", lambda _: "uv")
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    return played


def installed(store: Path, architecture: str = "x86_64") -> Path:
    return distributions.install(WANTED, store, project=store, python="3.13", architecture=architecture)


def test_packages_that_were_changed_where_they_are_kept_are_unpacked_again(uv: Uv, tmp_path: Path) -> None:
    folder = installed(tmp_path)
    assert installed(tmp_path) == folder
    assert len(uv.asked) == 1
    (folder / "pulse.py").write_text("rate = 2\n")
    assert installed(tmp_path) == folder
    assert (folder / "pulse.py").read_text() == "rate = 1\n"
    assert len(uv.asked) == 2
    assert "--require-hashes" in uv.asked[1]


def test_of_a_platform_without_a_word_of_uv_nothing_else_is_kept(uv: Uv, tmp_path: Path) -> None:
    folder = installed(tmp_path, "armhf")
    assert uv.environment["_PYTHON_HOST_PLATFORM"] == "linux-armv7l"
    assert Path(uv.environment["UV_CACHE_DIR"]).parent == tmp_path
    assert {each.name for each in tmp_path.iterdir()} == {
        f"{folder.name}{ending}" for ending in ("", ".sha256", ".txt")
    }


UNREACHED = """error: Failed to fetch: http://127.0.0.1:1/simple/pulse/
  cause: error sending request for url (http://127.0.0.1:1/simple/pulse/)
  cause: Connection refused (os error 111)"""
ANOTHER = "error: Failed to download `pulse==1.0`\n  cause: Hash mismatch for `pulse==1.0`"


@pytest.mark.parametrize(("said", "code"), [(UNREACHED, "host.packages-missing"), (ANOTHER, "host")])
def test_packages_that_are_not_reached_have_a_code_of_their_own(
    uv: Uv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: str
) -> None:
    def run(*_given: object, **_named: object) -> bytes:
        raise HostError(f"uv failed with 2: {last_words(said)}")

    monkeypatch.setattr(distributions, "run", run)
    with pytest.raises(HostError) as refused:
        installed(tmp_path)
    assert refused.value.code == code
    assert uv.asked == []
