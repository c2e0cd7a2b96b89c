"""Fills the near-surface blind zone of radar profiles and says, per pixel, how sure it is."""
