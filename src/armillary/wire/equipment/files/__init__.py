# SPDX-License-Identifier: Apache-2.0
"""What signed files for equipment say: recipes, and statements about firmware; the payloads of their envelopes.

Also here: who signs (``signing.py``), which needs a library that no guardian has.

Not here: envelopes and their verification (``signed_file.py``), whether the values may be written
(``guard/installing.py``).

Specification: ``docs/concepts/guardian.md``.
"""
