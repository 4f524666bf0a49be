# SPDX-License-Identifier: Apache-2.0
"""Rules of acting on what the watch and advisories say: kinds of actions, their states, limits, and playbooks.

What it is: which action may be done automatically and undone (``action.py``), what state follows (``state.py``), how
many devices an automatic action may touch (``budget.py``), who may be the second person (``approval.py``), and
playbooks as data (``playbook.py``; ``playbook_file.py`` reads them).

What it is not: the doing (``service/response``), or the rows (``engines/records/response``). No clock, no SQL.

Specification: ``docs/concepts/actions.md``; OASIS CACAO 2.0 has the words playbook, trigger and action.
"""
