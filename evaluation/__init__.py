"""Scores of predicted tags, tests of significance, and a report of the errors; without torch."""
