# SPDX-License-Identifier: Apache-2.0
"""Pictures that people upload: what they are by their bytes, and what is left of them once they can do nothing."""
