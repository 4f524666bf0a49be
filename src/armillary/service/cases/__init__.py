# SPDX-License-Identifier: Apache-2.0
"""Cases: vulnerabilities and incidents that must be reported to authorities, with their clocks and drafts.

Not here: by when something is due (``armillary.regulation.clocks``), who else is told (findings of the kind ``clock``),
and sending anything to an authority: a person does that. Specification: ``docs/guides/cra-reporting.md``.
"""
