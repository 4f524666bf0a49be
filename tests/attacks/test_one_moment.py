# SPDX-License-Identifier: Apache-2.0
"""Two owners who make a document of one id at one moment: who is second changes nothing of the first."""

from __future__ import annotations

import pytest
from tests.api.running_service import RunningService, fresh
from tests.attacks.owners import Owner

from armillary.engines.documents.store import DocumentStore
from armillary.platform.authored.documents import AuthoredDocuments


def bobs_first(monkeypatch: pytest.MonkeyPatch, bob: Owner, document_id: str) -> None:
    """Have Bob's document be there between the look at whose it is and the change."""
    genuine = DocumentStore.put

    def put(store: DocumentStore, kind: str, name: str, body: object, **named: object) -> object:
        monkeypatch.setattr(DocumentStore, "put", genuine)
        genuine(
            store,
            kind,
            document_id,
            {
                "name": "Bob's",
                "catalog": bob.name,
                "match": "all",
                "filters": [{"field": "device:connected", "operator": "eq", "value": True}],
            },
            by="bob",
        )
        return genuine(store, kind, name, body, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(DocumentStore, "put", put)


@pytest.mark.parametrize("looks", [True, False])
def test_what_somebody_makes_meanwhile_is_theirs(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch, looks: bool
) -> None:
    document_id = fresh("warm")
    if not looks:  # the version that was looked at is what stops it
        monkeypatch.setattr(AuthoredDocuments, "owned_version", lambda *_: None)
    bobs_first(monkeypatch, bob, document_id)
    answer = alice.call(
        "PUT",
        f"/groups/{document_id}?catalog={alice.name}",
        {
            "name": "Alice's",
            "match": "all",
            "filters": [{"field": "device:connected", "operator": "eq", "value": True}],
        },
    )
    kept = service.platform.documents.get("group", document_id).content
    if looks:
        assert (answer.status, answer.body["code"]) == (412, "request.precondition")
        assert (kept["name"], kept["catalog"]) == ("Bob's", bob.name)
    else:
        assert (answer.status, kept["name"]) == (200, "Alice's")


def test_an_if_match_of_ones_own_still_counts(alice: Owner) -> None:
    document_id = fresh("own")
    body = {
        "name": "Alice's",
        "match": "all",
        "filters": [{"field": "device:connected", "operator": "eq", "value": True}],
    }
    made = alice.call("PUT", f"/groups/{document_id}?catalog={alice.name}", body).body
    path, service = f"/api/v1/groups/{document_id}?catalog={alice.name}", alice.service
    for if_match, status in (('"d-0"', 412), (f'"{made["etag"]}"', 200), ("*", 200), (f'"{made["etag"]}"', 412)):
        changed = {**body, "name": f"Alice's {if_match} {status}"}
        answer = service.call("PUT", path, changed, token=alice.token, headers={"If-Match": if_match})
        assert answer.status == status, answer.raw
    assert service.call("DELETE", path, token=alice.token, headers={"If-Match": '"d-0"'}).status == 412
    assert service.call("DELETE", path, token=alice.token, headers={"If-Match": "*"}).status == 200
