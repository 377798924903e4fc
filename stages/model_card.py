"""The model card of an exported tagger: metadata for the Hugging Face Hub, and text for people."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import pandas as pd
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from evaluation.results import Result
from evaluation.slices import Score
from tagger.corpus.tags import types_of
from tagger.model.configuration import TaggerConfiguration
from tagger.text import VERSION

PACKAGES = ("numpy", "onnx", "onnxruntime", "safetensors", "torch")  # which shape the folder


class CorpusNote(NamedTuple):
    """What the card says of a corpus.

    about: what it is, and on which terms it may be used, in Markdown
    limits: what follows for a tagger, in Markdown
    metadata: of a model that was trained on it, for the Hub
    """

    about: str
    limits: str
    metadata: dict[str, Any]


CORPORA = {
    "conllpp": CorpusNote(
        "conllpp is CoNLL-2003 ([Tjong Kim Sang & De Meulder, CoNLL "
        "2003](https://aclanthology.org/W03-0419/)) with the labels of its test split corrected "
        "([Wang et al., EMNLP 2019](https://arxiv.org/abs/1909.01441)). Its text is news of the "
        "[Reuters Corpus](https://trec.nist.gov/data/reuters/reuters.html), which is licensed for "
        "research. The folder has none of the text, but the list of the distinct tokens of train.",
        "It was trained on English newswire of 1996, a good part of which is sports results. "
        "Expect less on other kinds of text, and on names that have come up since.",
        {
            "datasets": "conllpp",
            "language": "en",
            "license": "other",
            "license_name": "reuters-corpus",
            "license_link": "https://trec.nist.gov/data/reuters/reuters.html",
        },
    ),
    "sample": CorpusNote(
        "`sample` is invented news that the program data/inputs/sample.py wrote. It is under the "
        "MIT licence.",
        "It was trained on invented sentences of a few patterns, to show how the software works. "
        "It is of no use on real text.",
        {"language": "en", "license": "mit"},
    ),
}
VECTORS = {  # of gensim-data, by the start of a model's name
    "glove-": "They are GloVe's ([Pennington et al., EMNLP "
    "2014](https://nlp.stanford.edu/projects/glove/)), from ",
    "fasttext-": "They are fastText's ([Mikolov et al., LREC "
    "2018](https://fasttext.cc/docs/en/english-vectors.html)), from ",
    "": "They are from ",
}
UNKNOWN = "Its licence is not known here; it may bind this model too. Ask whoever made it."


class Sources(NamedTuple):
    """What a tagger was trained on.

    corpus: the name of the corpus
    licence: the corpus's, if its corpus.yaml has one
    vectors: the name of the word vectors
    from_gensim: the model of gensim-data that these are (`gensim`) and its licence, if a
        vectors.yaml has them; else empty
    """

    corpus: str
    licence: str | None
    vectors: str
    from_gensim: Mapping[str, str]


def write_card(
    configuration: TaggerConfiguration,
    sources: Sources,
    results: Mapping[str, Result],
    evaluated: Mapping[str, Any],
    slices: pd.DataFrame,
) -> str:
    """The model card, in Markdown with metadata in YAML at its start.

    Args:
        configuration: of the tagger
        sources: the corpus and the word vectors
        results: the scores of the exported folder, by split
        evaluated: the scores of the same model in single precision, by split
        slices: those by split, type and slice with intervals, as metrics/intervals.csv has them
    """
    corpus = sources.corpus
    known = CORPORA.get(corpus)
    name = f"tagger-{corpus}"
    data = ModelCardData(
        model_name=name,
        pipeline_tag="token-classification",
        tags=["named-entity-recognition", "onnx", "safetensors"],
        metrics=["precision", "recall", "f1"],
        eval_results=[
            EvalResult(
                task_type="token-classification",
                task_name="Named-entity recognition",
                dataset_type=corpus,
                dataset_name=corpus,
                dataset_split=split,
                metric_type=metric,
                metric_name=metric,
                metric_value=result.metrics[metric],
            )
            for split, result in results.items()
            for metric in ("precision", "recall", "f1")
        ],
        **(known.metadata if known else {}),
    )
    test = results["test"]
    sections = [
        f"# A named-entity tagger, trained on {corpus}",
        f"It finds entities of the types {_enumerate(types_of(configuration.tags))} in text, and "
        "gives each its place to the character and its probability. The model is a bidirectional "
        f"LSTM{' and a CRF' if configuration.crf else ''} over static word vectors "
        f"(`{sources.vectors}`). It needs no GPU.",
        "## Scores",
        "Those of this folder, by entity, on sentences of tokens as the corpus has them. An entity "
        "is correct if its type, its first and its last token are. The interval is that of a "
        "bootstrap over documents. The last column is the F1 of the same weights before they were "
        "made integers.",
        _table(
            ("split", "precision", "recall", "F1", "95 % interval", "F1 in single precision"),
            (
                (
                    split,
                    *map(_score, (m["precision"], m["recall"], m["f1"])),
                    _interval(**m["f1_interval"]),
                    _score(evaluated[split]["f1"]),
                )
                for split, m in ((split, result.metrics) for split, result in results.items())
            ),
        ),
        "By type, on test:",
        _rows_table("type", test.intervals[test.intervals["level"] == "type"]),
        _calibration(test),
        "## Limits",
        *([known.limits] if known else []),
        _weakest(slices[slices["split"] == "test"]),
        "It reads a document as a whole: what stands in other sentences helps. Sentences that are "
        "given one by one are tagged less well. Probabilities are calibrated on the validation "
        "split of the corpus, and may be off on text of another kind.",
        "## Intended use",
        "To find names in text where a wrong or missed name does little harm, or where somebody "
        "looks at the result: search, indexing, drafts of annotations. It should not be the only "
        "means by which personal data are removed from text: it misses names.",
        "## How to use it",
        "With Python 3.11 or newer, in this folder:",
        "```\n"
        "pip install git+URL-OF-THE-REPOSITORY-THAT-THIS-COMES-FROM\n"
        "echo 'Anna Baker flew from Oslo to Santos on Monday.' | python -m tagger apply . -\n"
        "```",
        "```python\n"
        "from tagger import Tagger\n\n"
        'tagger = Tagger.load(".")\n'
        'texts = ["Anna Baker flew from Oslo to Santos on Monday."]\n'
        "for document in tagger.tag(texts):\n"
        "    for entity in document.entities:\n"
        "        print(entity.start, entity.end, entity.label, entity.text, entity.score)\n"
        "```",
        "That needs NumPy, safetensors and ONNX Runtime, not PyTorch. "
        '`Tagger.load(".", runtime="torch")` uses PyTorch and single precision.',
        "## Training data",
        known.about if known else f"The corpus `{corpus}`. {_licence(sources.licence)}",
        "## Word vectors",
        f"`{sources.vectors}`, here in half precision. {_origin(sources)}",
        "## Versions",
        f"The rules that split text have version {VERSION}. The folder was made with "
        + _enumerate(f"{each} {version(each).partition('+')[0]}" for each in PACKAGES)
        + ".",
    ]
    content = f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(filter(None, sections)) + "\n"
    return str(ModelCard(content))


def _origin(sources: Sources) -> str:
    """Whose word vectors these are, and on which terms they may be used."""
    if sources.vectors == "sample":
        return (
            "They were trained on invented news that the program data/inputs/sample.py wrote, and "
            "are under the MIT licence."
        )
    model = sources.from_gensim.get("gensim")
    if not model:
        return _licence(None).replace("Its", "Their").replace("made it", "made them")
    origin = next(text for start, text in VECTORS.items() if model.startswith(start))
    return (
        f"{origin}[gensim-data](https://github.com/piskvorky/gensim-data), where they are called "
        f"`{model}`. {_licence(sources.from_gensim.get('licence'))}"
    )


def _licence(licence: str | None) -> str:
    return f"Licence: {licence}" if licence else UNKNOWN


def _enumerate(texts: Iterable[str]) -> str:
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last


def _score(value: float) -> str:
    return f"{value:.4f}"


def _interval(low: float, high: float) -> str:
    return f"{low:.4f} to {high:.4f}"


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    # A type may be called anything: a bar in it would be the end of a cell.
    return "\n".join(
        f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in line)} |" for line in lines
    )


def _rows_table(what: str, rows: pd.DataFrame) -> str:
    return _table(
        (what, "measure", "score", "95 % interval", "entities"),
        (
            (row.slice, row.measure, _score(row.score), _interval(row.low, row.high), row.support)
            for row in map(Score._make, rows[[*Score._fields]].to_numpy())
        ),
    )


def _calibration(result: Result) -> str:
    if "calibration" not in result.metrics:
        return ""
    error = result.metrics["calibration"]["expected_calibration_error"]
    return f"The expected calibration error of the entities' probabilities is {error:.4f} on test."


def _weakest(rows: pd.DataFrame) -> str:
    """The types and slices of test with the lowest scores, in single precision."""
    parts = rows[(rows["level"] != "all") & (rows["support"] > 0)]
    if parts.empty:
        return ""
    weakest = parts.sort_values("score", kind="stable").head(4)
    return (
        "It is weakest on these parts of test (in single precision; recall is the share of the "
        "entities that are found):\n\n" + _rows_table("part", weakest)
    )
