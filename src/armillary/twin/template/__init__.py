# SPDX-License-Identifier: Apache-2.0
"""Device templates: what a kind of device can say and do, and a device's values against it.

Pure. Not here: DTDL (``armillary.wire.dtdl``), where templates are kept (``armillary.platform.templates``).
"""
