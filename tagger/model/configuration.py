"""The configuration of a tagger: all that rebuilds it, but its weights and the word vectors."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TaggerConfiguration:
    """What a tagger is made of.

    tags: the tag set, in `scheme`
    scheme: the scheme of the tags, which no decoded sequence breaks, see `tagger.corpus.tags`
    train_token_count: the number of tokens that have a trained vector, which is added to that of
        their word and starts at zero; 0 for none
    character_count: the number of known characters; 0 for no convolution over characters (Santos &
        Zadrozny, ICML 2014)
    filters: the number of filters of that convolution
    document: whether the context features of the document are an input
    crf: whether transitions are learned and sequences trained as a whole, or each token alone
    hidden: the size of the LSTM's hidden state in each direction
    layers: the number of layers of the LSTM
    dropout: the probability that a value is dropped before each layer and before the tags
    recurrent_dropout: the same between the steps of the LSTM
    """

    tags: tuple[str, ...]
    scheme: str
    train_token_count: int
    character_count: int
    filters: int
    document: bool
    crf: bool
    hidden: int
    layers: int
    dropout: float
    recurrent_dropout: float
