# SPDX-License-Identifier: Apache-2.0
"""What regulations and standards ask of a manufacturer, as pure rules: clocks of reports, drafts, and statements.

Not here: what is known of devices (``armillary.advisory``, ``armillary.service``), the requirements themselves, which
are data (``content/standards``), and any judgement whether a product meets them. SPECIFICATION.md, chapter 11.
"""
