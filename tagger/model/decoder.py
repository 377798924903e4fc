"""The decoder: from the scores of a tagger to the best tags, and how probable they are; in numpy.

A linear-chain conditional random field (Lafferty, McCallum & Pereira, ICML 2001) gives a sequence
of tags the probability exp(score / T) / Z. Its score is the sum of its emissions (the score of each
tag at each token) and of its transitions; Z is the sum of exp(score / T) over all sequences that
the scheme allows. The temperature T makes probabilities honest (Guo et al., ICML 2017) and leaves
the order of the sequences as it is: the best tags do not depend on it.

Sums over sequences are those of the forward-backward algorithm in double precision. Its messages
are divided by their largest value at each step, so sentences may be of any length. All that is
computed for a sentence is computed by operations on single numbers, and by sums in an order that
depends on the number of tags alone. So its results have the same bits in any batch.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tagger.corpus.tags import Span, parse
from tagger.encoding.layout import Layout
from tagger.model.constraints import MANY_TAGS, Blocks, allowed_transitions

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Ids = NDArray[np.int64]
Number = TypeVar("Number", bound=np.floating[Any])

# A tag that scores this much less than the best tag of its token counts as if it scored no less:
# e^-600 is no probability that anybody reads, but it is not 0 in double precision, as e^-750 is.
LOWEST = -600.0
BLOCK = 4096  # transitions at a time, so that many tags take no more memory than few
# The prefixes of an entity of one token, and of the first, inner and last token of a longer one
ENTITY_PREFIXES = {"IOB2": "BBII", "BIOES": "SBIE"}


class Decoder:
    """Finds the best allowed tags of sentences, and the probabilities of entities and of tags.

    Args:
        tags: the tag set
        scheme: IOB2 or BIOES, see `tagger.corpus.tags`
        transitions: the score of tag i before tag j, [tags, tags] float32
        starts, ends: the score of a first and of a last tag, [tags] float32 each
    """

    def __init__(
        self,
        tags: Sequence[str],
        scheme: str,
        transitions: Floats,
        starts: Floats,
        ends: Floats,
    ) -> None:
        def constrained(scores: Floats, is_allowed: NDArray[np.bool_]) -> NDArray[np.float32]:
            return np.where(is_allowed, np.asarray(scores, np.float32), np.float32(-np.inf))

        allowed = allowed_transitions(tags, scheme)
        outside = tags.index("O")
        self.transitions = constrained(transitions, allowed)
        self.starts = constrained(starts, allowed[outside])
        self.ends = constrained(ends, allowed[:, outside])
        self.blocks = Blocks.of(tags, scheme) if len(tags) > MANY_TAGS else None
        ids = {tag: id_ for id_, tag in enumerate(tags)}
        # By entity type, the tag ids of ENTITY_PREFIXES
        self.ids_of_type = {
            type_: [ids[f"{prefix}-{type_}"] for prefix in ENTITY_PREFIXES[scheme]]
            for type_ in {parse(tag)[1] for tag in tags} - {""}
        }
        self.types = [parse(tag)[1] for tag in tags]
        self.begins = np.array([parse(tag)[0] in ("B", "S") for tag in tags])
        self.continues = np.array([parse(tag)[0] in ("I", "E") for tag in tags])

    def decode(self, emissions: NDArray[np.float32], layout: Layout) -> Ids:
        """The allowed tag sequence of the highest score for each sentence (Viterbi 1967).

        Of equal scores the lowest tag id wins.

        Args:
            emissions: the score of each tag at each token, [tokens, tags] float32
            layout: of the sentences

        Returns:
            tag ids, [tokens] int64
        """
        # The best score of a sequence that ends in each tag so far, [steps, tags, sentences]
        scores = _grid(emissions, layout.tokens[0])
        scores[0] += self.starts[:, None]
        transitions = self.transitions[:, :, None]
        for before, reached in pairwise(scores):
            if self.blocks is None:
                reached += _max_sum(before, transitions)
            else:
                reached += _max_sum_allowed(before, transitions, self.blocks)
        scores = np.ascontiguousarray(scores.transpose(0, 2, 1))
        # The tag of each step, if it were the last of its sentence, [steps, sentences]
        path = (scores + self.ends).argmax(axis=2)
        goes_on = np.zeros(path.size, dtype=bool)
        goes_on[layout.cells[0, layout.followed]] = True
        goes_on = goes_on.reshape(path.shape)
        to = np.ascontiguousarray(self.transitions.T)
        # Filled from the end; a step after the end of a sentence is not read
        for step in range(len(path) - 2, -1, -1):
            before = (scores[step] + to[path[step + 1]]).argmax(axis=1)
            np.copyto(path[step], before, where=goes_on[step])
        best: Ids = path.ravel()[layout.cells[0]]
        return best

    def spans(self, tags: Ids, layout: Layout) -> list[list[Span]]:
        """The entities of allowed tag ids ([tokens]), by sentence from left to right."""
        (starts,) = self.begins[tags].nonzero()
        ends = np.append((~self.continues[tags]).nonzero()[0], len(tags))
        ends = ends[ends.searchsorted(starts, "right")]
        sentences = layout.sentences[starts]
        first = layout.first[sentences]
        found: list[list[Span]] = [[] for _ in layout.first]
        columns = (sentences, starts - first, ends - first, tags[starts])
        for sentence, start, end, tag in zip(*(c.tolist() for c in columns), strict=True):
            found[sentence].append(Span(start, end, self.types[tag]))
        return found

    def span_probabilities(
        self,
        emissions: NDArray[np.float32],
        layout: Layout,
        spans: Sequence[Sequence[Span]],
        temperature: float = 1.0,
    ) -> list[list[float]]:
        """The probability that a sentence has an entity with exactly the tokens and type of a span.

        It is the share of Z of the sequences that mark the entity: constrained forward-backward
        (Culotta & McCallum, HLT-NAACL 2004). In IOB2 they are those in which no `I-` of its type
        follows the span.

        Args:
            emissions: the score of each tag at each token, [tokens, tags] float32
            layout: of the sentences
            spans: of each sentence, in any order
            temperature: T

        Returns:
            0 to 1, of each span of each sentence, in their order
        """
        chosen = [number for number, some in enumerate(spans) if some]
        if not chosen:
            return [[] for _ in spans]
        sizes = layout.last[chosen] + 1 - layout.first[chosen]
        grids = layout.tokens[:, : sizes.max(), chosen]  # [2, steps, chosen]
        scores = _relative(emissions, temperature)
        factors = self._factors(temperature)
        messages = _messages(
            np.ascontiguousarray(np.exp(scores)[grids].transpose(1, 0, 3, 2)),
            np.stack((factors.transitions, factors.transitions.T), axis=1),
            np.stack((factors.starts, factors.ends)),
            (self.blocks, self.blocks.reversed()) if self.blocks else None,
        )

        flat = [
            (column, start, end - start, *self.ids_of_type[type_])
            for column, n in enumerate(chosen)
            for start, end, type_ in spans[n]
        ]
        # The last four are tags: of a single token, and of a first, an inner and a last one
        columns, starts, lengths, single, first, inner, last = np.array(flat).T
        first = np.where(lengths == 1, single, first)
        last = np.where(lengths == 1, single, last)
        tokens = layout.first[chosen][columns] + starts
        steps = sizes[columns] - 1 - starts  # of each first token in the backward grid

        # Of all sequences up to the first token, those with its tag, against all sequences
        forward = messages.values[starts, 0, :, columns]  # [spans, tags]
        backward = messages.reached[steps, 1, :, columns]
        shares = forward[np.arange(len(flat)), first] / _row_sums(forward * backward)
        logarithms = _log(shares)
        # Then those that go on with its tags …
        transitions = self.transitions.astype(np.float64) / temperature
        before = first
        for offset in range(1, lengths.max()):
            (going,) = (lengths > offset).nonzero()
            tag = np.where(lengths == offset + 1, last, inner)
            scale = messages.scales[steps[going] - offset, 1, columns[going]]
            logarithms[going] += (
                transitions[before[going], tag[going]]
                + scores[tokens[going] + offset, tag[going]]
                - np.log(scale)
            )
            before = tag
        # … and then with any tag that does not continue the entity, or with the sentence's end
        ends_sentence = starts + lengths == sizes[columns]
        after = messages.values[np.maximum(steps - lengths, 0), 1, :, columns]  # [spans, tags]
        leaving = _row_sums(after * np.where(self.continues, 0, factors.transitions[last]))
        logarithms += _log(np.where(ends_sentence, factors.ends[last], leaving))
        found = iter(np.minimum(np.exp(logarithms), 1.0).tolist())
        return [[next(found) for _ in some] for some in spans]

    def log_likelihood(
        self,
        emissions: NDArray[np.float32],
        tags: Ids,
        layout: Layout,
        temperature: float = 1.0,
    ) -> float:
        """The logarithm of the probability of a tag sequence, summed over sentences.

        Args:
            emissions: the score of each tag at each token, [tokens, tags] float32
            tags: tag ids, [tokens]; those of each sentence must be allowed
            layout: of the sentences
            temperature: T
        """
        scores = _relative(emissions, temperature)
        factors = self._factors(temperature)
        observed = _grid(np.exp(scores), layout.tokens[0])
        messages = _messages(
            observed[:, None],
            factors.transitions[:, None],
            factors.starts[None],
            (self.blocks,) if self.blocks else None,
            any_order=True,
        )
        cells = np.divmod(layout.cells[0], len(layout.first))  # step and column of each token
        final = messages.values[cells[0][layout.last], 0, :, cells[1][layout.last]]
        partition = (
            np.log(messages.scales[cells[0], 0, cells[1]]).sum()
            + np.log(_row_sums(final * factors.ends)).sum()
        )
        left = layout.followed
        chain = (
            self.transitions[tags[left], tags[left + 1]].sum(dtype=np.float64)
            + self.starts[tags[layout.first]].sum(dtype=np.float64)
            + self.ends[tags[layout.last]].sum(dtype=np.float64)
        )
        score = scores[np.arange(len(tags)), tags].sum() + chain / temperature
        return float(score - partition)

    def _factors(self, temperature: float) -> "_Factors":
        arrays = (self.transitions, self.starts, self.ends)
        return _Factors(*(np.exp(scores.astype(np.float64) / temperature) for scores in arrays))


class _Factors(NamedTuple):
    """exp(score / T) of the transitions, [left, right], and of first and last tags, [tags]."""

    transitions: Doubles
    starts: Doubles
    ends: Doubles


class _Messages(NamedTuple):
    """The messages of the forward algorithm, in one direction or in two.

    values: of all sequences up to a cell, the weight of those that have each tag there, over that
        of the most common tag, [steps, directions, tags, sentences]
    reached: the same without the cell's own likelihoods, before the division
    scales: by what each cell's messages were divided, [steps, directions, sentences]
    """

    values: Doubles
    reached: Doubles
    scales: Doubles


def _messages(
    observed: Doubles,
    factors: Doubles,
    edges: Doubles,
    blocks: Sequence[Blocks] | None,
    any_order: bool = False,
) -> _Messages:
    """Run the forward algorithm.

    Args:
        observed: the likelihood of each tag in each cell, [steps, directions, tags, sentences]
        factors: of the transitions, [from, directions, to]
        edges: of the first tags of each direction, [directions, tags]
        blocks: the transitions that are allowed, by direction; None to compute all
        any_order: whether with blocks the order of sums may depend on the number of sentences,
            which takes a tenth of the time
    """
    values, reached = np.empty_like(observed), np.empty_like(observed)
    scales = np.empty((*observed.shape[:2], observed.shape[-1]))
    reached[0] = edges[:, :, None]
    factors = factors[..., None]
    in_blocks = [
        np.ascontiguousarray(factors[b.closed, d : d + 1][:, :, b.open])
        for d, b in enumerate(blocks or ())
    ]
    in_pairs = [factors[b.left, d, b.right] for d, b in enumerate(blocks or ())]
    for step, likelihoods in enumerate(observed):
        if step and not blocks:
            _sum_product(values[step - 1], factors, out=reached[step])
        elif step and blocks:
            columns = (values[step - 1], blocks, in_blocks, in_pairs, reached[step])
            for before, some, in_block, in_pair, out in zip(*columns, strict=True):
                out[:] = 0
                if any_order:
                    out[some.open] = in_block[:, 0, :, 0].T @ before[some.closed]
                else:
                    opening = np.empty((1, len(some.open), out.shape[-1]))
                    _sum_product(before[None, some.closed], in_block, out=opening)
                    out[some.open] = opening[0]
                tags, starts = some.groups
                out[tags] += np.add.reduceat(before[some.left] * in_pair, starts)
        np.multiply(reached[step], likelihoods, out=values[step])
        np.maximum.reduce(values[step], axis=1, out=scales[step])
        values[step] /= scales[step][:, None]
    return _Messages(values, reached, scales)


def _sum_product(messages: Doubles, factors: Doubles, out: Doubles) -> None:
    """Sum messages times factors over the tags from which a tag is reached.

    The sum runs over the outermost axis, so numpy adds one tag after another, however many
    sentences there are. A matrix product would not: its order depends on the shapes.

    Args:
        messages: [directions, from, sentences]
        factors: [from, directions, to, 1]
        out: [directions, to, sentences]
    """
    messages = messages.swapaxes(0, 1)[:, :, None]
    block = max(1, BLOCK // factors.shape[2])
    for i in range(0, len(factors), block):
        products = np.multiply(messages[i : i + block], factors[i : i + block], order="C")
        if i:
            out += np.add.reduce(products)
        else:
            np.add.reduce(products, out=out)


def _max_sum(scores: Floats, transitions: Floats) -> Floats:
    """The highest score plus transition to each tag.

    Args:
        scores: [from, sentences]
        transitions: [from, to, 1]

    Returns:
        [to, sentences]
    """
    block = max(1, BLOCK // transitions.shape[1])
    highest: Floats = np.maximum.reduce(scores[:block, None] + transitions[:block])
    for i in range(block, len(transitions), block):
        sums = scores[i : i + block, None] + transitions[i : i + block]
        np.maximum(highest, np.maximum.reduce(sums), out=highest)
    return highest


def _max_sum_allowed(scores: Floats, transitions: Floats, blocks: Blocks) -> Floats:
    """The same as `_max_sum`, but what is not allowed is not computed."""
    in_block = transitions[np.ix_(blocks.closed, blocks.open)]
    highest = np.full_like(scores, -np.inf)
    highest[blocks.open] = _max_sum(scores[blocks.closed], in_block)
    tags, starts = blocks.groups
    reached = scores[blocks.left] + transitions[blocks.left, blocks.right]
    highest[tags] = np.maximum(highest[tags], np.maximum.reduceat(reached, starts))
    return highest


def _grid(values: NDArray[Number], tokens: Ids) -> NDArray[Number]:
    """The values of tokens ([tokens, tags]) in a grid of them, [steps, tags, sentences]."""
    return np.ascontiguousarray(values[tokens].transpose(0, 2, 1))


def _row_sums(values: Doubles) -> Doubles:
    """The sum of each row, in an order that does not depend on the number of rows."""
    rows: Doubles = np.ascontiguousarray(values).sum(axis=1)
    return rows


def _log(values: Doubles) -> Doubles:
    """The natural logarithm, -inf of 0: the probability of what no allowed sequence has."""
    with np.errstate(divide="ignore"):
        return np.log(values)


def _relative(emissions: NDArray[np.float32], temperature: float) -> Doubles:
    """Emissions over T, less the highest of each token, [tokens, tags], at least LOWEST."""
    scores = emissions.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    return np.maximum(scores / temperature, LOWEST)
