# SPDX-License-Identifier: Apache-2.0
"""Assessment: which of the seven properties of highly secured devices a device shows now, and by what evidence.

The properties are those of Hunt, Letey and Nightingale, "The Seven Properties of Highly Secure Devices"
(MSR-TR-2017-16). ``properties`` asks one question for each, of facts that the service holds already (pure rules);
``assessment`` gathers the facts of a device, or of all. A statement says present, absent, stale or out of scope; it
never says that a device is secure, or complies with anything.

Not here: the appraisal of evidence (``attest/appraise.py``), on whose results this rests.
"""
