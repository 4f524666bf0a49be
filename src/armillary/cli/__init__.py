# SPDX-License-Identifier: Apache-2.0
"""The ``armillary`` command: ``armillary <noun> <verb>``, one file a noun.

What it is: argument parsing, calls to the operator API (remote nouns) or to local rules and engines
(``image-package``, ``hardware-definition``, ``device``), and printing. Data goes to stdout, logs and
progress to stderr; ``--json`` everywhere; exit 0, 1, 2 = done, failed, wrong usage; a ``hint:`` line
follows each error.

What it is not: a place for rules. Specification: design contract "Commands" in ARCHITECTURE.md;
``docs/reference/cli.md`` is generated from the commands themselves.
"""
