"""
IAM in the emulator, when it is asked to enforce it: whose call it is, what its policies say, and what each call needs.

moto can enforce policies itself, but knows no resources of most services and few conditions, and its administrator
must be made first. Here a key that belongs to no user and no role is the account's own, which may do all; so a test
sets things up as it always does, and only what it does as a user or in a role is held to policies. Signatures are not
checked; boundaries and session policies are not read.
"""
