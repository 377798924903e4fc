"""Scores of predicted tags, their significance, and a report of the errors. Needs no torch."""
