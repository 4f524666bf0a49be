# SPDX-License-Identifier: Apache-2.0
"""Detection, as pure rules: which crashes are the same, what is unusual for a device, which refusals mean something.

Not here: who is told and what is done (``armillary.service.watch``, ``armillary.rollout``), nor the rules that
operators write for telemetry (``armillary.twin.rule``). SPECIFICATION.md, chapter 11.
"""
