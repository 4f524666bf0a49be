# SPDX-License-Identifier: Apache-2.0
"""What is done with whole tables, whatever is in them: exports of all their pages.

How a table is drawn and sorted is in ``frame/``.
"""
