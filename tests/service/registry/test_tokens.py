# SPDX-License-Identifier: Apache-2.0
"""Operator tokens: hashed at rest, gone at once when revoked."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from armillary.engines.records.schema.rows import Token
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, UnauthenticatedError
from armillary.sim.device.service_host import ServiceHost


def test_the_first_start_makes_one_administrator_token_and_no_file_holds_it(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data") as host:
        service = host.service
        secret = service.first_token
        assert secret is not None
        assert service.tokens.authenticate(secret).role == "Administrator"
        for path in Path(service.context.folder.path).rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
        assert secret not in repr(service.tokens.create("x", "Reader", actor="t"))


def test_tokens_are_refused_when_unknown_expired_or_revoked(host: ServiceHost, clock: Any) -> None:
    tokens = host.service.tokens
    made = tokens.create("ci", "Contributor", actor="t", expires_at=int(clock.now) + 100)
    assert tokens.authenticate(made.secret).name == "ci"
    assert [token.last_used_at for token in tokens.list() if token.name == "ci"] == [int(clock.now)]
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(made.secret + "x")
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate("")
    clock.now += 101
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(made.secret)
    other = tokens.create("ci", "Contributor", actor="t")
    tokens.authenticate(other.secret)
    tokens.revoke(other.token.token_id, actor="t")
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(other.secret)


def test_a_token_is_remembered_from_its_first_use_until_it_is_revoked_or_over(host: ServiceHost, clock: Any) -> None:
    tokens = host.service.tokens
    made, other = (tokens.create(each, "Reader", actor="t", expires_at=int(clock.now) + 100) for each in ("a", "b"))
    assert tokens.cached(made.secret) is None
    for each in (made, other):
        tokens.authenticate(each.secret)
        found = tokens.cached(each.secret)
        assert found is not None
        assert found.token_id == each.token.token_id
    tokens._cached.clear()  # the service was begun anew, within the minute in which its use is noted
    tokens.authenticate(made.secret)
    assert tokens.cached(made.secret) is not None
    tokens.authenticate(other.secret)
    tokens.revoke(other.token.token_id, actor="t")
    assert tokens.cached(other.secret) is None
    clock.now += 101
    assert tokens.cached(made.secret) is None


def test_a_token_that_is_revoked_while_it_is_used_is_not_cached(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = host.service.tokens
    made = tokens.create("short", "Reader", actor="test")
    note_use = tokens._note_use

    def revoked_after(token_id: UUID, now: int) -> Token:
        noted = note_use(token_id, now)
        tokens.revoke(token_id, actor="test")  # by another thread, between the note and the memory
        return noted

    with monkeypatch.context() as patch:
        patch.setattr(tokens, "_note_use", revoked_after)
        tokens.authenticate(made.secret)  # this request was let in before the revocation
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(made.secret)


def test_the_last_administrator_token_cannot_be_revoked(host: ServiceHost) -> None:
    tokens = host.service.tokens
    (first,) = tokens.list()
    with pytest.raises(ConflictError):
        tokens.revoke(first.token_id, actor="t")
    tokens.create("second", "Administrator", actor="t")
    tokens.revoke(first.token_id, actor="t")
    with pytest.raises(NotFoundError):
        tokens.revoke(uuid4(), actor="t")


@pytest.mark.parametrize(("name", "role"), [("", "Reader"), ("x" * 65, "Reader"), ("a\nb", "Reader"), ("a", "Root")])
def test_bad_tokens_are_not_made(host: ServiceHost, name: str, role: str) -> None:
    with pytest.raises(InvalidArgumentError):
        host.service.tokens.create(name, role, actor="t")
