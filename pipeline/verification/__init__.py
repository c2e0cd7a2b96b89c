"""Scores of a filled blind zone against the hidden truth, as sums that merge."""
