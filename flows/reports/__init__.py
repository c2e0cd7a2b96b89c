"""Reports of runs over days: a record, a page, numbers for Prometheus."""
