# SPDX-License-Identifier: Apache-2.0
"""Device models in DTDL: reads and checks them, and explains what is wrong.

Not here: device templates, which contain models (``armillary.twin.template``). Specification: DTDL v2 and v3, DTMI.
"""
