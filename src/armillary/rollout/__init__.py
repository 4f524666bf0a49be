# SPDX-License-Identifier: Apache-2.0
"""Staged roll-outs as pure rules: plan(policy, progress, seen, now) -> plan.

It decides which devices may start, when a cohort is good enough for the next one, and when to hold: by counters
(``tally.py``), findings, and a test against the release before (``comparison.py``). It is not the loop that runs it
(``service/updates/planner.py``), it installs nothing, and it never interrupts an installation that has begun: while a
roll-out is held, nobody else is granted what it brings. A held roll-out stays held until a person resumes it.

Specification: ``docs/concepts/rollouts.md``; the rules follow hawkBit's cascading groups with AWS IoT Jobs' abort
criteria, with silent devices counted as failures.
"""
