# SPDX-License-Identifier: Apache-2.0
"""Disclosure of vulnerabilities: how strangers are asked to report, what they report, and by when they hear of it.

``policies`` is what ``security.txt`` says and which times are published; ``reports`` takes reports from strangers,
keeps them sealed, and has people work through them; ``due_findings`` tells when somebody waits for a word.

Not here: vulnerabilities of published advisories (``service/advisories``), reports to authorities (``service/cases``).
Specification: ``docs/guides/vulnerability-reports.md``.
"""
