"""What stays up between runs: the Prefect server with its worker, the folder watcher, the janitor."""
