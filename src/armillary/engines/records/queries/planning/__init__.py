# SPDX-License-Identifier: Apache-2.0
"""Questions and changes of roll-outs, of software and of trust stores, made for a million devices.

Each reads what has changed, or an index. Not here: roll-outs as people see them (``queries/rollouts.py``), and what is
decided (``armillary.rollout``). Specification: ``docs/concepts/rollouts.md``.
"""
