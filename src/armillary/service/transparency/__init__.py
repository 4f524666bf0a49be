# SPDX-License-Identifier: Apache-2.0
"""The service's transparency logs: who signs their checkpoints, what is proved of them, which witnesses are heard.

Not here: how entries come into them (``armillary.engines.records``) and the formats (``armillary.wire.transparency``).
Specification: C2SP tlog-checkpoint, tlog-cosignature.
"""
