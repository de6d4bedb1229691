"""Who evaluates the blocks of rows: threads of this machine."""
