"""BDA's runtime API on a laptop: jobs started, worked off, and asked for."""
