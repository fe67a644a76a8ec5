"""History of samples: a memory of the last hour, blocks on disk behind it."""
