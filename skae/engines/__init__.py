"""Who evaluates the blocks of rows: threads, a cluster, or one batch at a time."""
