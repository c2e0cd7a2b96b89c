"""Checks of environment, archive and settings."""
