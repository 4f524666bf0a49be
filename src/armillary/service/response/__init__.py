# SPDX-License-Identifier: Apache-2.0
"""Does what is to be done about findings and advisories: actions, with preview, limits, a second person, expiry, undo.

What it is: what operators do with actions (``actions.py``), how one comes about (``asking.py``), what it is aimed at
(``aims.py``, ``fixes.py``), the steps in which it is done (``performing.py``, by the table in ``effects.py``, or
``wholes.py``), what catalogs ask (``approvals.py``), and playbooks applied to findings (``playbooks.py``).
``response.py`` is what all others hold.

What it is not: the rules (``response``), detections (``service/watch``), roll-outs (``service/updates``).

Specification: ``docs/concepts/actions.md``.
"""
