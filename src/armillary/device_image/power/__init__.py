# SPDX-License-Identifier: Apache-2.0
"""Power cuts: a machine is switched off from one instant to the next while it takes an update, and has to come back."""
