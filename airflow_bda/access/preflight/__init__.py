"""
Check a setup before the first job: who calls, what exists, what is allowed.

Everything is read only, except for a probe that must be asked for. A look that is itself denied is a hint, not a fault:
an identity may run jobs without being allowed to look.
"""
