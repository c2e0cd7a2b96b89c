"""How work is run: with Prefect or without, local or on Dask, with logs and progress."""
