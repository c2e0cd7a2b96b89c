"""Training and evaluation: blocks of days, plans, runs, schemes, scores and model cards."""
