"""From network output to calibrated predictive distributions, and how far they apply."""
