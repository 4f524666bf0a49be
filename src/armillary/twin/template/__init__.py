# SPDX-License-Identifier: Apache-2.0
"""Device templates: the capabilities of a kind of device, and checks of a device's values against them.

Pure functions. Not here: DTDL (``armillary.wire.dtdl``), storage and use (``armillary.platform.templates``).
"""
