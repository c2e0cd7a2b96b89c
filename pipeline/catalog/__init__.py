"""The data catalogue: which sources exist and where their files are."""
