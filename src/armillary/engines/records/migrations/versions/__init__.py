# SPDX-License-Identifier: Apache-2.0
"""One module per migration, named by its revision. Not imported by the service. See the package above."""
