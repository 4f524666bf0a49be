# SPDX-License-Identifier: Apache-2.0
"""hawkBit's Direct Device Integration (DDI): what `swupdate` and RAUC's updater send to a server, and what they read.

Names of controllers and artifacts, feedback and configuration data as parsed values, the documents of answers, and the
states of an action as a table.

Not here: who may ask, which deployment a device gets, where outcomes go (``armillary.service.bridge``); routes
(``armillary.api.hawkbit``). Specification: Eclipse hawkBit, DDI API, https://eclipse.dev/hawkbit/apis/ddi_api/.
"""
