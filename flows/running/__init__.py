"""How work is run: Prefect or none, local or on Dask, one product task at a time, with logs and progress."""
