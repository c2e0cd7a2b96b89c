"""The service on one machine: server, worker, janitor and watched folders."""
