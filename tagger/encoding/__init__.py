"""From tokens to numbers: vocabularies, features of documents, splits and batches."""
