# SPDX-License-Identifier: Apache-2.0
"""Staged roll-outs as pure rules: plan(policy, inventory, findings, now) -> plan.

It decides which devices may start, when a cohort is good enough for the next one, and when to hold. It is not
the loop that runs it (``service/updates/planner.py``), it installs nothing, and it never interrupts an installation
that has begun: holding only stops new starts. A held roll-out stays held until a person resumes it.

Specification: ``docs/concepts/rollouts.md``; the rules follow hawkBit's cascading groups with AWS IoT Jobs' abort
criteria, with silent devices counted as failures.
"""
