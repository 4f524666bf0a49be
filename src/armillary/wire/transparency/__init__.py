# SPDX-License-Identifier: Apache-2.0
"""Formats of transparency logs: Merkle trees and their proofs, signed notes, checkpoints, cosignatures, proof bundles.

Not here: where a tree is kept (``armillary.engines.records.transparency``) and who signs it
(``armillary.service.transparency``).
Specification: RFC 9162 §2.1 (trees, proofs); C2SP signed-note, tlog-checkpoint, tlog-cosignature and tlog-tiles.
"""
