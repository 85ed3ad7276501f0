"""
Lambda functions that really run: what is uploaded to moto's Lambda, in a process of this machine, without Docker.

A function runs under AWS's own runtime client, with the limits, the time and the environment that it was given, and
its AWS clients lead back to the emulator. Its Python is the emulator's own, whatever version it asks for. It runs as
the user who started the emulator, with all that he may do: there is no sandbox. So it runs only where nobody but this
machine reaches the emulator, unless that is asked for.
"""
