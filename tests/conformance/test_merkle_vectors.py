# SPDX-License-Identifier: Apache-2.0
"""The proofs of transparency-dev/merkle (testdata/, Apache 2.0): every one accepted or refused as it says.

Set ARMILLARY_MERKLE_DIR to a checkout of transparency-dev/merkle. Nothing of it is copied here. Deviations:

- roots that are no SHA-256 hashes are refused (``sizes-are-equal-one-and-proof-is-empty`` has such);
- every tree begins with the empty one, which needs no proof: refused there, though by no case with good roots.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from armillary.errors import ProofError
from armillary.wire.transparency import merkle
from armillary.wire.transparency.merkle import TreeHead

FOLDER = Path(os.environ.get("ARMILLARY_MERKLE_DIR") or "/nonexistent") / "testdata"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="to enable: git clone https://github.com/transparency-dev/merkle and name its folder in ARMILLARY_MERKLE_DIR",
)


def cases(kind: str) -> list[Any]:
    paths = sorted((FOLDER / kind).rglob("*.json"))
    return [pytest.param(json.loads(path.read_text()), id=str(path.relative_to(FOLDER))) for path in paths]


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def verify_inclusion(case: dict[str, Any]) -> None:
    """As the vector has it: the leaf's hash, not the leaf."""
    proof, index, size = list(map(decoded, case["proof"] or ())), case["leafIdx"], case["treeSize"]
    found = merkle.root_from_leaf_hash(decoded(case["leafHash"]), index, size, proof)
    if found != decoded(case["root"]):
        raise ProofError("inclusion-proof", expected="the root", got="another")


@pytest.mark.parametrize("case", cases("inclusion"))
def test_inclusion(case: dict[str, Any]) -> None:
    if case["wantErr"]:
        with pytest.raises(ProofError):
            verify_inclusion(case)
    else:
        verify_inclusion(case)


# Accepted there.
STRICTER = {"sizes are equal (one) and proof is empty"}


@pytest.mark.parametrize("case", cases("consistency"))
def test_consistency(case: dict[str, Any]) -> None:
    earlier = TreeHead(case["size1"], decoded(case["root1"]))
    later = TreeHead(case["size2"], decoded(case["root2"]))
    proof = list(map(decoded, case["proof"] or ()))
    if case["wantErr"] or case["desc"] in STRICTER:
        with pytest.raises(ProofError):
            merkle.verify_consistency(earlier, later, proof)
    else:
        assert merkle.verify_consistency(earlier, later, proof) == later
