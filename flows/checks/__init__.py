"""Whether the machine, the archive and the settings are in order."""
