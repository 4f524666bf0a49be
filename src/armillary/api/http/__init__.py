# SPDX-License-Identifier: Apache-2.0
"""What every route has, whatever it answers: admission, scope, bodies, budgets, problems, and the server itself.

Not here: any API's shape or noun. A route declares what it needs, and these modules hold it to that.
Specification: RFC 9110 (HTTP), RFC 9457 (problem details).
"""
