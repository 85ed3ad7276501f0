"""Who may do what: the permissions that a job needs, the policies that give them, and what a denied call lacked."""
