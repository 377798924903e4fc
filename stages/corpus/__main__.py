"""Say what the pipeline understands of a corpus, before anything is trained.

Run as `python -m stages.corpus NAME`: `make check-corpus CORPUS=NAME`. Without a name it is the
corpus of params.yaml. The stage `download` prints the same, but for the share of tokens without a
word vector, which is printed here if the stage `embed` has run.
"""

import argparse
import gc
import io
import signal
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Annotated

from pydantic import Field

from stages.corpus.reading import Corpus, read_corpus
from stages.corpus.summary import summarise
from stages.runner import PARAMETERS, read_parameters, read_texts
from tagger.files import InputError, read_lines

CORPORA, EMBEDDINGS = Path("data/inputs/corpora"), Path("data/embeddings")


def check(*, corpus: str, held_out: Annotated[float, Field(gt=0, lt=0.5)]) -> None:
    """Print what there is to know of a corpus.

    Raises:
        InputError: it cannot be read.
    """
    found = read_corpus(CORPORA / corpus, corpus, held_out)
    print(summarise(found), flush=True)
    if EMBEDDINGS.exists():
        print(describe_coverage(found, EMBEDDINGS))
    else:
        print(f"vectors: there is no {EMBEDDINGS}; the stage `embed` makes it")


def describe_coverage(corpus: Corpus, embeddings: Path) -> str:
    """How many tokens of each split have none of the word vectors in a folder, as a line."""
    from tagger.encoding.vocabulary import WORDS, Vocabulary  # with numpy, which takes a while

    counts = {
        split: Counter(chain.from_iterable(sentence.tokens for sentence in sentences))
        for split, sentences in corpus.splits.items()
    }
    types = set().union(*counts.values())
    words = read_lines(embeddings / WORDS)
    # Of hundreds of thousands of words those that no token needs are left out, which is quicker.
    vocabulary = Vocabulary([*{*types, *map(str.lower, types)}.intersection(words)])
    unknown = {token for token in types if vocabulary.look_up(token).how == "unknown"}
    shares = [
        f"{split} {100 * sum(n[token] for token in unknown) / n.total():.1f} %"
        for split, n in counts.items()
    ]
    return f"tokens without one of the {len(words):,} vectors in {embeddings}: {', '.join(shares)}"


def main() -> None:
    """Check a corpus; bad input ends the process with one line on standard error and status 1."""
    parser = argparse.ArgumentParser(prog="python -m stages.corpus", description=__doc__)
    parser.add_argument("corpus", nargs="?", metavar="NAME", help="a folder of data/inputs/corpora")
    arguments = parser.parse_args()
    # Tokens are shown, and a terminal may lack their characters.
    if isinstance(sys.stdout, io.TextIOWrapper):  # it is None where it is closed
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        texts = read_texts(PARAMETERS)
        if arguments.corpus is not None:
            texts["corpus"] = arguments.corpus
        check(**read_parameters(texts, check))
    except (InputError, OSError) as error:
        sys.exit(f"check-corpus: {error}")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it without a word
    gc.disable()  # a corpus has no cycles to find, but very many lists to search
    main()
