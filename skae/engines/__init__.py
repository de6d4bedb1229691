"""Engines: evaluate an objective on blocks of rows, and map rows to results.

There is an engine for threads, one for dask, and one for mini-batches.
``skae.core.protocols.Engine`` says what an engine must offer.
"""
