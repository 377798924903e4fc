"""A named-entity tagger: a bidirectional LSTM and a CRF over static word vectors.

The package holds what it takes to tag, and nothing else. `tagger.corpus` knows tags and CoNLL
files, `tagger.encoding` turns tokens into numbers, `tagger.model` turns those into scores, and
`tagger.predict` puts the three together.
"""
