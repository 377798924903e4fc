"""Tags, their schemes, and files in CoNLL format."""
