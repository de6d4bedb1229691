"""Rows: X is read and checked once, and then has the same methods in every form.

Arrays, data frames, sparse matrices, memory maps, arrays on a device and dask
collections become objects with the methods of ``skae.rows.data.Rows``.
"""
