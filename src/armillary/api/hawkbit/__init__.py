# SPDX-License-Identifier: Apache-2.0
"""hawkBit's Direct Device Integration: routes for controllers, as `swupdate` and RAUC's updater ask them.

Not here: formats (``armillary.wire.hawkbit``), what a controller is to do (``armillary.service.bridge``), hawkBit's
management API, which is not served: operators use ``/api/v1/catalogs/{catalog}/bridge-devices`` and roll-outs.
Specification: Eclipse hawkBit, DDI API, https://eclipse.dev/hawkbit/apis/ddi_api/.
"""
