"""Does this machine compute the committed bits? An answer in seconds, before minutes of training.

Run as `python -m benchmarks.fingerprint`: `make fingerprint`. Each floating-point operation that
training and tagging consist of runs once, forwards and backwards, on fixed inputs of its real
shapes (those of conllpp with the default parameters), and the hash of what it gives is compared
with the one in benchmarks/fingerprint.json. The exit status is 0 if all of them agree, else 1.

The inputs come from NumPy's generator PCG64, which gives the same bits on every processor. The
environment variables are those that dvc.yaml sets for the train stage. They must be set before
PyTorch is loaded, so the program starts itself once more with them.

With `--update`, if no operation differs, the file gets those that it lacks and the kind of this
processor, and loses those that are no longer here. After an upgrade of PyTorch or NumPy, which may
change all hashes, `--rewrite` replaces the whole file.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from benchmarks.process import ROOT, processor, variables_of
from stages.sparse_adam import SparseAdam
from tagger.corpus.tags import CONLL_ENTITY_TYPES, tag_set
from tagger.encoding.context import Context, context_size
from tagger.encoding.encoder import Encoder
from tagger.encoding.layout import Layout
from tagger.encoding.split import Split, batches
from tagger.model.bilstm_crf import CHARACTER_SIZE, KERNEL, BiLSTMCRF
from tagger.model.checkpoint import decoder_of
from tagger.model.configuration import TaggerConfiguration
from tagger.model.crf import CRF
from tagger.model.decoder import Decoder

COMMITTED = ROOT / "benchmarks/fingerprint.json"
DIGITS = 12  # of each SHA-256, as hexadecimal digits

# The shapes of a batch of conllpp with the default parameters.
SENTENCES, TOKENS, TYPES = 32, 450, 280
LENGTHS = np.array([14] * 30 + [15] * 2)  # of the sentences: TOKENS in all
TAGS = 17  # BIOES tags of four entity types, and O
DIMENSION = 50  # of a word vector
CHARACTERS, FILTERS = 82, 50
INPUT = DIMENSION + FILTERS + context_size(DIMENSION)  # of the LSTM
HIDDEN = 288  # of the LSTM in each direction
TOKEN_VECTORS = 20_000  # trained ones, most of which are in no given batch


def draw(random: np.random.Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers between -1 and 1, evenly distributed.

    They fill the whole significand, so that no sum or product of them is exact.
    """
    return torch.from_numpy(random.uniform(-1, 1, shape)).to(dtype)


def draw_ids(random: np.random.Generator, end: int, *shape: int) -> Tensor:
    """Numbers of rows, from 0 to `end`, without that; int64."""
    return torch.from_numpy(random.integers(0, end, shape))


def with_gradients(
    random: np.random.Generator, output: Tensor, inputs: Iterable[Tensor]
) -> list[Tensor]:
    """The output, and the gradient of each input for a gradient of the output that is drawn."""
    gradient = draw(random, *output.shape, dtype=output.dtype)
    return [output, *torch.autograd.grad(output, list(inputs), gradient)]


def random_numbers(random: np.random.Generator) -> list[Tensor]:
    """What decides the batches and the dropout, and the inputs of all operations here."""
    return [draw(random, 1000), torch.from_numpy(random.permutation(14_041)), torch.rand(1000)]


def initial_weights(_: np.random.Generator) -> list[Tensor]:
    """PyTorch's own, which its random numbers give."""
    modules = [
        nn.Embedding(CHARACTERS, CHARACTER_SIZE),
        nn.Linear(KERNEL * CHARACTER_SIZE, FILTERS),
        nn.LSTM(INPUT, HIDDEN),
        nn.Linear(2 * HIDDEN, TAGS),
    ]
    return [parameter for module in modules for parameter in module.parameters()]


def mean_of_vectors(random: np.random.Generator) -> list[Tensor]:
    """The vector of unknown words, computed by NumPy in double precision."""
    vectors = draw(random, 40_000, DIMENSION).numpy()
    return [torch.from_numpy(vectors.mean(axis=0, dtype=np.float64))]


def draw_split(random: np.random.Generator) -> tuple[Split, int, Encoder]:
    """Made-up documents, of sentences of any length, in words some of which are capitalised.

    Returns:
        the split; the number of words, which come in the order of their frequency; the encoder
    """
    words = [f"{number:x}" for number in range(3_000)]
    tokens = [words[rank % 3_000] for rank in random.zipf(1.3, 3_000).tolist()]
    tokens = [token.upper() if i % 7 == 0 else token for i, token in enumerate(tokens)]
    ends = np.cumsum(random.integers(1, 30, 190)).tolist()
    sentences = [tokens[start:end] for start, end in pairwise([0, *ends]) if end <= len(tokens)]
    encoder = Encoder.fit(words, sentences[::2])
    return encoder.encode(sentences, [i // 15 for i in range(len(sentences))]), 3_000, encoder


def document_features(random: np.random.Generator) -> list[Tensor]:
    """Mean vectors around mentions and of documents, and logarithms of positions and lengths."""
    split, words, _ = draw_split(random)
    context = Context.of(split, draw(random, words + 2, DIMENSION).numpy())
    batch = split.batch(np.arange(len(split)), context.features)
    logarithms = np.log(np.arange(1, 1_000)).astype(np.float32)
    return [torch.from_numpy(array) for array in (batch.context, logarithms)]


def types_to_tokens(random: np.random.Generator) -> list[Tensor]:
    """The vector of each type (distinct token) of a batch, for each of its tokens."""
    vectors = draw(random, TYPES, DIMENSION) + draw(random, TYPES, DIMENSION)
    features = torch.cat((vectors, draw(random, TYPES, FILTERS)), dim=1).requires_grad_()
    tokens = F.embedding(draw_ids(random, TYPES, TOKENS), features)
    return with_gradients(random, tokens, [features])


def character_products(random: np.random.Generator) -> list[Tensor]:
    """What each filter makes of each character at each of its places."""
    characters = draw(random, CHARACTERS, CHARACTER_SIZE).requires_grad_()
    weights = draw(random, FILTERS, KERNEL, CHARACTER_SIZE).requires_grad_()
    products = torch.einsum("ce,fke->kcf", characters, weights)
    return with_gradients(random, products, [characters, weights])


def character_sums(random: np.random.Generator) -> list[Tensor]:
    """What each filter makes of each window of characters."""
    products = draw(random, KERNEL * CHARACTERS, FILTERS).requires_grad_()
    windows = draw_ids(random, KERNEL * CHARACTERS, 7 * TYPES, KERNEL)
    return with_gradients(random, F.embedding_bag(windows, products, mode="sum"), [products])


def character_maxima(random: np.random.Generator) -> list[Tensor]:
    """The largest value of each filter in each type, of which some share theirs."""
    filtered = draw(random, 7 * TYPES, FILTERS)
    filtered[1::7] = filtered[::7]
    filtered.requires_grad_()
    bias = draw(random, FILTERS).requires_grad_()
    lengths = torch.full((TYPES,), 7)
    largest = torch.segment_reduce(filtered, "max", lengths=lengths, unsafe=True) + bias
    return with_gradients(random, largest, [filtered, bias])


def dropout(random: np.random.Generator) -> list[Tensor]:
    """The same values dropped from all tokens of a sentence."""
    states = draw(random, TOKENS, INPUT).requires_grad_()
    scale = (torch.rand(SENTENCES, INPUT) >= 0.5).to(states) / (1 - 0.5)
    scales = scale.index_select(0, torch.from_numpy(Layout.of(LENGTHS).sentences))
    return with_gradients(random, states * scales, [states])


def tokens_to_grid(random: np.random.Generator) -> list[Tensor]:
    """Tokens put into a grid of steps and sentences, in which the last token may come again."""
    states = draw(random, TOKENS, INPUT).requires_grad_()
    tokens = torch.from_numpy(Layout.of(LENGTHS).tokens[0].flatten())
    return with_gradients(random, states.index_select(0, tokens), [states])


def draw_lstm(random: np.random.Generator) -> nn.LSTM:
    """One direction, with weights of the size that they have at the start of training."""
    lstm = nn.LSTM(INPUT, HIDDEN)
    for parameter in lstm.parameters():
        parameter.data.copy_(draw(random, *parameter.shape) / 16)
    return lstm


def lstm_training(random: np.random.Generator, *, steps: int, sentences: int) -> list[Tensor]:
    """One direction with recurrent dropout: its states, and the gradients of all that it reads."""
    lstm = draw_lstm(random)
    states = draw(random, steps, sentences, INPUT).requires_grad_()
    mask = (torch.rand(HIDDEN) >= 0.25).to(states) / (1 - 0.25)
    weights = dict(lstm.named_parameters())
    masked = weights | {"weight_hh_l0": weights["weight_hh_l0"] * mask}
    output: Tensor = functional_call(lstm, masked, states)[0]
    return with_gradients(random, output, [states, *weights.values()])


@torch.no_grad()
def lstm_tagging(random: np.random.Generator, *, steps: int, sentences: int) -> list[Tensor]:
    """One direction without gradients, for which oneDNN takes another implementation."""
    lstm = draw_lstm(random).eval()
    return [lstm(draw(random, steps, sentences, INPUT))[0]]


def output_layer(random: np.random.Generator, *, tokens: int) -> list[Tensor]:
    """The score of each tag at each token."""
    states = draw(random, tokens, 2 * HIDDEN).requires_grad_()
    weight = (draw(random, TAGS, 2 * HIDDEN) / 16).requires_grad_()
    bias = draw(random, TAGS).requires_grad_()
    return with_gradients(random, F.linear(states, weight, bias), [states, weight, bias])


def draw_crf(random: np.random.Generator) -> CRF:
    """A CRF over the tags of conllpp."""
    crf = CRF(tag_set(CONLL_ENTITY_TYPES, "BIOES"), "BIOES")
    for parameter in crf.parameters():
        parameter.data.copy_(draw(random, *parameter.shape))
    return crf


def crf_loss(random: np.random.Generator) -> list[Tensor]:
    """The log-likelihood of gold tags, in double precision, and its gradients."""
    crf = draw_crf(random)
    emissions = (8 * draw(random, TOKENS, TAGS)).requires_grad_()
    singles = torch.tensor([0, 4, 8, 12, 16])  # O, and an entity of one token of each type
    tags = singles[draw_ids(random, len(singles), TOKENS)]
    loss = crf.loss(emissions, tags, Layout.of(LENGTHS)) / TOKENS
    return with_gradients(random, loss, [emissions, *crf.parameters()])


def crf_decoding(random: np.random.Generator) -> list[Tensor]:
    """The best tags by the Viterbi algorithm."""
    emissions = draw(random, TOKENS, TAGS).numpy()
    tags = tag_set(CONLL_ENTITY_TYPES, "BIOES")
    decoder = Decoder(tags, "BIOES", *(p.detach().numpy() for p in draw_crf(random).parameters()))
    return [torch.from_numpy(decoder.decode(emissions, Layout.of(LENGTHS)))]


def cross_entropy(random: np.random.Generator) -> list[Tensor]:
    """The loss where the tagger has no CRF."""
    emissions = (8 * draw(random, TOKENS, TAGS)).requires_grad_()
    loss = F.cross_entropy(emissions, draw_ids(random, TAGS, TOKENS))
    return with_gradients(random, loss, [emissions])


def adam(random: np.random.Generator) -> list[Tensor]:
    """Three steps of all weights but the token vectors, by gradients that are clipped."""
    shapes = [
        (CHARACTERS, CHARACTER_SIZE),
        (FILTERS, KERNEL * CHARACTER_SIZE),
        (FILTERS,),
        *[(4 * HIDDEN, INPUT), (4 * HIDDEN, HIDDEN), (4 * HIDDEN,), (4 * HIDDEN,)] * 2,
        (TAGS, 2 * HIDDEN),
        (TAGS,),
        (TAGS, TAGS),
        (TAGS,),
        (TAGS,),
    ]
    parameters = [nn.Parameter(draw(random, *shape) / 16) for shape in shapes]
    optimizer = torch.optim.Adam(parameters, lr=0.002, fused=True)
    norms = []
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = draw(random, *parameter.shape)
        norms.append(nn.utils.clip_grad_norm_(parameters, 5.0))
        optimizer.step()
    return [*norms, *parameters, *(optimizer.state[p]["exp_avg_sq"] for p in parameters)]


def token_vectors(random: np.random.Generator) -> list[Tensor]:
    """Three steps of the trained token vectors, each of those in a batch, some of them twice."""
    embedding = nn.Embedding(TOKEN_VECTORS, DIMENSION, sparse=True)
    nn.init.zeros_(embedding.weight)
    optimizer = SparseAdam(embedding.parameters(), lr=0.002)
    for _ in range(3):
        rows = torch.cat((draw_ids(random, TOKEN_VECTORS, TYPES - 20), torch.arange(20) // 2))
        embedding(rows).backward(draw(random, TYPES, DIMENSION))
        optimizer.step()
        optimizer.zero_grad()
    return [embedding.weight, optimizer.state[embedding.weight]["square"]]


def whole_tagger(random: np.random.Generator) -> list[Tensor]:
    """Two steps of training the default tagger, and the tags that it gives then."""
    split, words, encoder = draw_split(random)
    configuration = TaggerConfiguration(
        tags=tuple(tag_set(CONLL_ENTITY_TYPES, "BIOES")),
        scheme="BIOES",
        train_token_count=len(encoder.train_tokens),
        character_count=len(encoder.characters),
        filters=FILTERS,
        document=True,
        crf=True,
        hidden=HIDDEN,
        layers=1,
        dropout=0.5,
        recurrent_dropout=0.25,
    )
    vectors = draw(random, words + 2, DIMENSION)
    tagger = BiLSTMCRF(vectors, configuration).train()
    dense, sparse = tagger.dense_parameters(), tagger.sparse_parameters()
    optimizers = [torch.optim.Adam(dense, lr=0.002, fused=True), SparseAdam(sparse, lr=0.002)]
    context = Context.of(split, vectors.numpy()).features
    losses = []
    for sentences in batches(split.lengths, SENTENCES, random)[:2]:
        batch = split.batch(sentences, context)
        gold = torch.zeros(len(batch.positions), dtype=torch.int64)
        loss = tagger.loss(tagger(batch), gold, batch.layout)
        loss.backward()
        nn.utils.clip_grad_norm_(dense, 5.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss)
    batch = split.batch(np.arange(len(split)), context)
    tags = decoder_of(tagger.eval()).decode(tagger.score(batch), batch.layout)
    return [*losses, *tagger.parameters(), torch.from_numpy(tags)]


# An operation's inputs are seeded by its name, so that adding one does not change the others.
OPERATIONS: dict[str, Callable[[np.random.Generator], list[Tensor]]] = {
    "random numbers": random_numbers,
    "initial weights": initial_weights,
    "mean of the word vectors": mean_of_vectors,
    "document features": document_features,
    "types to tokens": types_to_tokens,
    "character products": character_products,
    "character sums": character_sums,
    "character maxima": character_maxima,
    "dropout": dropout,
    "tokens to grid": tokens_to_grid,
    "LSTM training, 15 steps of 32 sentences": partial(lstm_training, steps=15, sentences=32),
    "LSTM training, 40 steps of 9 sentences": partial(lstm_training, steps=40, sentences=9),
    "LSTM training, 1 step of 32 sentences": partial(lstm_training, steps=1, sentences=32),
    "LSTM tagging, 15 steps of 64 sentences": partial(lstm_tagging, steps=15, sentences=64),
    "LSTM tagging, 40 steps of 9 sentences": partial(lstm_tagging, steps=40, sentences=9),
    "LSTM tagging, 1 step of 1 sentence": partial(lstm_tagging, steps=1, sentences=1),
    "output layer, 450 tokens": partial(output_layer, tokens=450),
    "output layer, 900 tokens": partial(output_layer, tokens=900),
    "output layer, 32 tokens": partial(output_layer, tokens=32),
    "output layer, 1 token": partial(output_layer, tokens=1),
    "CRF loss": crf_loss,
    "CRF decoding": crf_decoding,
    "cross-entropy": cross_entropy,
    "Adam": adam,
    "SparseAdam of the token vectors": token_vectors,
    "two steps of the whole tagger": whole_tagger,
}


def compute(names: Iterable[str]) -> dict[str, str]:
    """The hash of what each of some operations gives, by name.

    It sets PyTorch up as the train stage does. That runs each operation on one thread, whether
    it has one, two or three: several threads would share an operation's sums, and give other bits.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    hashes = {}
    for name in names:
        torch.manual_seed(1)
        found = sha256()
        for tensor in OPERATIONS[name](np.random.default_rng(list(name.encode()))):
            found.update(tensor.detach().contiguous().numpy().tobytes())
        hashes[name] = found.hexdigest()[:DIGITS]
    return hashes


def main() -> None:
    """Compare, print a line for each operation and then the answer; end with the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    write = parser.add_mutually_exclusive_group()
    write.add_argument(
        "--update",
        action="store_true",
        help="if no hash differs, add this processor and the operations that the file lacks",
    )
    write.add_argument("--rewrite", action="store_true", help="replace the file")
    options = parser.parse_args()

    variables = variables_of("train")
    if any(os.environ.get(name) != value for name, value in variables.items()):
        command = [sys.executable, "-m", "benchmarks.fingerprint", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | variables)  # noqa: S606

    here = processor()
    print(f"{here}; torch {torch.__version__}, NumPy {np.__version__}\n", flush=True)
    hashes = compute(OPERATIONS)
    committed, seen_on = hashes, [here]
    if not options.rewrite:
        document = json.loads(COMMITTED.read_text(encoding="utf-8"))
        committed, seen_on = document["hashes"], document["seen_on"]
    if options.update:
        committed, seen_on = hashes | committed, sorted({here, *seen_on})

    lacking = [name for name in hashes if name not in committed]
    differing = [name for name, found in hashes.items() if committed.get(name, found) != found]
    print(f"{'':42}{'here':14}committed")
    for name, found in hashes.items():
        mark = "  differs" if name in differing else ""
        print(f"{name:42}{found:14}{committed.get(name, 'none'):12}{mark}")
    print()
    if torch.cuda.is_available():
        print(
            "This says nothing of the GPU that PyTorch finds here. With `device: auto` in "
            "params.yaml training runs on it and gives other bits, unless it is hidden: "
            "`CUDA_VISIBLE_DEVICES= make repro`."
        )
    if differing:
        print(
            f"No: this processor gives other bits in {len(differing)} of {len(hashes)} operations ("
            f"{'; '.join(differing)}), so training gives another model. To see whether its scores "
            "are near the committed ones, run `make verify TOLERANCE=0.02`; to get the committed "
            "outputs themselves, run `dvc pull`."
        )
        sys.exit(1)
    if lacking:
        sys.exit(f"{COMMITTED.name} lacks {'; '.join(lacking)}: run this with --update")
    if options.update or options.rewrite:
        text = json.dumps({"seen_on": seen_on, "hashes": hashes}, indent=2, ensure_ascii=False)
        COMMITTED.write_text(f"{text}\n", encoding="utf-8")
    print(
        f"Yes: this processor gives the committed bits in all {len(hashes)} operations. "
        f"Processors on which they were seen: {'; '.join(seen_on)}."
    )


if __name__ == "__main__":
    main()
