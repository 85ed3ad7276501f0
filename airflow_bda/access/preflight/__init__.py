"""
A look at a setup before the first job: who calls, what exists, what is allowed.

Everything is read only, but for the probe that must be asked for. A look that is itself refused is a hint: an identity
may run jobs without being allowed to look.
"""
