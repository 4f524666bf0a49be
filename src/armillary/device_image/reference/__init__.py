# SPDX-License-Identifier: Apache-2.0
"""Reference values of an image: what its boot measures into the TPM, stated by the build that made it.

What it is: the values, calculated of the signed image and of the firmware's variables, in the form that a service
takes (``armillary attestation-policy firmware add``). What it is not: the judgement, which is
``attest/firmware_reference.py``. Of a firmware itself nothing can be calculated here: what one measured was seen
(``image/firmware-seen.toml``).
"""
