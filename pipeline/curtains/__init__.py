"""The canonical curtain: its form, its grid, its quality flags, its blind zone and its CF metadata."""
