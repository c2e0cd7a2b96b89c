"""What a run over days leaves behind: a record, a page, numbers for Prometheus."""
