"""The network: arrays in, arrays out; no xarray, no Prefect, no file but its checkpoint."""
