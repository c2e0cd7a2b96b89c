"""Radar profiles in, filled and described profiles out: xarray only, no TensorFlow and no Prefect."""
