"""What training leaves behind: plans, run directories, window scores and model cards."""
