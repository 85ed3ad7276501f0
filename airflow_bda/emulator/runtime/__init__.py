"""BDA's runtime API: invocations, their jobs, statuses and events."""
