# SPDX-License-Identifier: Apache-2.0
"""What others say of vulnerabilities and of what software is made of: bytes to frozen values, one file a format.

Advisories in OSV's form (JSON, zip archives, PyPA's YAML; Go's are OSV with conditions), the catalogue of known
exploited vulnerabilities, EPSS scores, VEX statements (OpenVEX, CycloneDX, CSAF), package URLs, and the components that
a software bill of materials lists. Everything is hostile until it is read: each reader has limits of size, number and
depth, and gives one :class:`~armillary.errors.AdvisoryError` that names the place.

Not here: whether an advisory affects a component, how versions are ordered, what a feed is worth
(``armillary.advisory``); where feeds come from and who signed them (``armillary.service``).

Specifications: OSV schema 1.7; CISA's KEV schema; FIRST's EPSS data; OpenVEX 0.2.0; ECMA-424 (CycloneDX); CSAF 2.0
(OASIS); SPDX 2.3; ECMA-427 (package URL).
"""
