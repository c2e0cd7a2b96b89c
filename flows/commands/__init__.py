"""The command line, one command a file; a command imports TensorFlow and Prefect when it runs."""
