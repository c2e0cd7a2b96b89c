"""Published products: CF netCDF files, where they are stored, and what they are like."""
