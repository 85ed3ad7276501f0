"""
Check a setup before the first job: who calls, what exists, what is allowed.

All checks only read, except for a probe that must be asked for. A check that is itself denied is a hint, not a fault:
an identity may run jobs without the permissions of the checks.
"""
