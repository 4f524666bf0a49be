# SPDX-License-Identifier: Apache-2.0
"""Python packages of an image: unpacked once for each set, and again where what is kept was changed. uv is played."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from armillary.device_image import distributions

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
