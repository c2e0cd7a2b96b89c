"""Scores of a filled blind zone against what was hidden, as sums that merge."""
