# SPDX-License-Identifier: Apache-2.0
"""Blobs that no record names: none stays of what was refused, and a start removes what a killed process left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of

from armillary.engines.records.queries import images as image_rows
from armillary.engines.records.store import Records
from armillary.errors import ConflictError, DataFolderError
from armillary.service.assemble import SecurityService
from armillary.service.context.named_blobs import UNNAMED_S
from armillary.settings import Settings

CHIP = "mt3620"


class KilledError(BaseException):
    """The process ends here."""


@contextmanager
def _open(data: Path, clock: Clock) -> Iterator[SecurityService]:
    """A service without sockets."""
    opened = SecurityService.open(Settings(data=data), clock=clock)
    with closing(opened.context.folder), closing(opened.authority), closing(opened.context.records):
        yield opened
        opened.bridge.close()


@pytest.fixture
def data(made_folder: Path, tmp_path: Path) -> Path:
    return copy_of(made_folder, tmp_path / "data")


def files(data: Path) -> set[Path]:
    return set((data / "blobs").glob("*/*"))


def aged(found: set[Path], written_at: float) -> None:
    for each in found:
        os.utime(each, (written_at, written_at))


def publication_killed(data: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """What a publication leaves that ends between its packages and its record."""
    before = files(data)

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as cut, _open(data, clock) as service:
        cut.setattr(Records, "write", killed)
        with pytest.raises(KilledError):
            service.releases.publish(CHIP, "27.1", actor="ann")
        cut.undo()
    left = files(data) - before
    assert left
    return left


def test_a_publication_that_is_refused_leaves_no_package(data: Path, clock: Clock) -> None:
    with _open(data, clock) as service:
        before = files(data)
        clock.now += 1  # what is built now is another package than the first release's
        with pytest.raises(ConflictError):
            service.releases.publish(CHIP, "26.11", actor="ann")
        assert files(data) == before
        made = service.releases.publish(CHIP, "27.1", actor="ann")
        assert {each.name for each in files(data) - before} == {one.digest.hex() for one in made.components}


def test_a_start_removes_what_a_killed_publication_left_once_it_is_a_day_old(
    data: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, left = files(data), publication_killed(data, clock, monkeypatch)
    (other := data / "blobs" / "ab" / "ab-notes.txt").parent.mkdir(exist_ok=True)
    other.write_text("of a person")
    aged({*before, other}, 0)
    aged(left, clock.now - UNNAMED_S)
    with _open(data, clock):
        assert files(data) == {*before, *left, other}
    aged(left, clock.now - UNNAMED_S - 1)
    with _open(data, clock) as service:
        assert files(data) == {*before, other}
        for release in service.releases.list():
            service.releases.packages(release)
        service.releases.publish(CHIP, "27.1", actor="ann")


def test_without_the_judge_the_packages_of_releases_would_go(
    data: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what is old is kept because records name it, and for no other reason."""
    aged(files(data), 0)
    monkeypatch.setattr(image_rows, "named_blobs", lambda _: frozenset())
    with _open(data, clock) as service:
        release = service.releases.newest(CHIP)
        assert service.releases.packages(release), "each is asked for again before it goes"
    monkeypatch.setattr(image_rows, "names_blob", lambda *_: False)
    with _open(data, clock) as service, pytest.raises(DataFolderError, match="cannot be read"):
        service.releases.packages(release)


def test_both_questions_about_names_have_one_answer(data: Path, clock: Clock) -> None:
    with _open(data, clock) as service:
        named = service.context.records.read(image_rows.named_blobs)
        assert {each.hex() for each in named} == {each.name for each in files(data)}
        for digest in (*named, bytes(32)):
            assert service.context.records.read(lambda c, d=digest: image_rows.names_blob(c, d)) == (digest in named)
