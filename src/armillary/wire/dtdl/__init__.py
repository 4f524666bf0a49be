# SPDX-License-Identifier: Apache-2.0
"""Device models in DTDL: read, checked, explained.

Not here: templates made of models (``armillary.twin.template.template``). Specification: DTDL v2 and v3, DTMI.
"""
