"""The network: arrays in, arrays out; it knows no xarray, no Prefect and no file but its checkpoint."""
