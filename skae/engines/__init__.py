"""Who evaluates blocks of rows: threads of this machine, or a cluster by dask."""
