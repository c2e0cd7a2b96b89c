"""Damaged and deceptive raw files: small valid files, changes of them, and their ingest."""
