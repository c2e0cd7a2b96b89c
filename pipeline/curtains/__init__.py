"""The canonical curtain: form, grid, quality flags, blind zone and CF metadata."""
