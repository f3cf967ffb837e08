# SPDX-License-Identifier: BSD-3-Clause
"""The checks. One is a function that takes a Site, is named after its requirement, and says in its first line what must be
so. It returns where that is so, and raises Failed where it is not.

`must`, `should`, `other` say what the RFC calls for; `other` is what none demands of every gateway."""
from lab import Failed, check, same

CHECKS = []


def mark(level, knobs, slow_s):
    def keep(function):
        function.level, function.knobs, function.slow_s = level, knobs, slow_s
        CHECKS.append(function)
        return function
    return keep


def must(slow_s=0, **knobs):
    """`slow_s`: what it waits for anyway: such checks begin first. `knobs`: see gateways.py."""
    return mark("must", knobs, slow_s)


def should(slow_s=0, **knobs):
    return mark("should", knobs, slow_s)


def other(slow_s=0, **knobs):
    return mark("other", knobs, slow_s)


__all__ = ["CHECKS", "Failed", "check", "must", "other", "same", "should"]
