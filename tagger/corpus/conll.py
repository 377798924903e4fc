"""Files in CoNLL format: a token a line, its columns between white space."""

SPLITS = ("train", "validation", "test")  # of a corpus
