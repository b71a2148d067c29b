"""Figures: ratios against a peer or a floor in the same run, and scores on reference cases."""
