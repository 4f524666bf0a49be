# SPDX-License-Identifier: Apache-2.0
"""What every route shares: authentication, access checks, body limits, caller limits, errors, and the server.

Not here: any API's shape or noun. A route declares what it needs in its row, and these modules enforce it.
Specification: RFC 9110 (HTTP), RFC 9457 (problem details).
"""
