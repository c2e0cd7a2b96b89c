"""The command line: one command a file; TensorFlow and Prefect load only when a command needs them."""
