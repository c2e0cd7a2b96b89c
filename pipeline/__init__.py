"""Radar profiles in, filled and described profiles out: xarray, no TensorFlow, no Prefect."""
