"""Tag millions of documents with Ray: `python -m tagger.mass TAGGER IN OUT` (the extra `mass`)."""
