"""Results as one HTML page: pages with boxes over fields and words, texts, transcripts, and what changed since a run."""
