"""The trained tagger as an ONNX model in 8-bit integers.

The LSTM and the layer that scores tags are quantized after training (Jacob et al., CVPR 2018):

* Weights are integers from -63 to 63, with a scale for each output. With 8 bits, sums of two
  products could exceed the 16 bits that processors without VNNI have for them.
* Inputs and hidden states are integers from -127 to 127, stored as 1 to 255. A hidden state is
  between -1 and 1, an input between plus and minus the largest magnitude of its feature on train;
  what exceeds that is cut.

Scales are constants, and sums of integers are exact. So a token's emissions do not depend on what
else is in its batch, as they would with ONNX Runtime's DynamicQuantizeLSTM, whose scale is that of
the batch. ONNX's own LSTM knows no integers. Here it is a Scan over steps, in which gates and cells
are in single precision. It is there twice, with the same results to the bit: for batches of many
tokens with products as small as the processor's caches, and for a short text with as few and as
long products as possible. docs/model.md has the formulas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from tagger.encoding.context import Context
from tagger.encoding.document import CASING_SIZE
from tagger.encoding.split import Batch, Split, cut_by_cells
from tagger.encoding.vocabulary import PADDING
from tagger.model.configuration import TaggerConfiguration

LARGEST_WEIGHT, LARGEST_STATE, ZERO = 63, 127, 128  # as integers
FEW = 128  # cells of a batch's grid up to which the LSTM is that for a short text
GATES = ("input", "forget", "cell", "output")  # in PyTorch's order
SHORT_GATES = ("input", "forget", "output", "cell")  # those with a sigmoid side by side
OPSET, IR_VERSION = 18, 8  # of ONNX; every onnxruntime of the package's range reads them
RUNTIME = "com.microsoft"  # the operators of ONNX Runtime

Weights = Mapping[str, np.ndarray]  # by their names in the state_dict of the torch model


@dataclass(frozen=True)
class Ranges:
    """The largest magnitude on train of each feature that the LSTM reads.

    types: of the features of token types, [dimension + filters] float32
    context: of the context features, [size] float32; empty where they are no input
    """

    types: np.ndarray
    context: np.ndarray


def character_products(weights: Weights) -> np.ndarray:
    """What each character adds to a filter's value at each place of its window.

    Returns:
        [3, characters, filters] float32; a window that has padding in its middle is that of no
        character, and is -inf
    """
    characters, filters = weights["characters.weight"], weights["filters.weight"]
    places = filters.reshape(len(filters), 3, -1)  # [filters, 3, size]
    products = np.einsum("ce,fke->kcf", characters, places, dtype=np.float64)
    products[1, PADDING] = -np.inf
    result: np.ndarray = products.astype(np.float32)
    return result


def measure_ranges(
    configuration: TaggerConfiguration, weights: Weights, vectors: np.ndarray, train: Split
) -> Ranges:
    """The ranges of the features of train's tokens.

    Those that are means of word vectors have the range of the vectors: in a short text, means of
    few vectors are larger than in train's documents. A feature that is always 0 has the range 1.
    Ranges are rounded to half precision: logarithms differ in their last bits between processors,
    but the graph should not.

    Args:
        configuration: of the tagger
        weights: those of the tagger
        vectors: by word id, [words + 2, dimension]
        train: the split
    """
    context = Context.of(train, vectors).features if configuration.document else None
    products = character_products(weights) if configuration.character_count else None
    largest = [np.zeros(1, np.float32)] * 2
    for sentences in cut_by_cells(train.lengths):
        batch = train.batch(sentences, context)
        features = (_type_features(weights, products, vectors, batch), batch.context)
        largest = [np.maximum(a, np.abs(b).max(0)) for a, b in zip(largest, features, strict=True)]
    if configuration.document:
        of_vectors = np.abs(vectors[train.words]).max(axis=0)
        largest[1][CASING_SIZE : CASING_SIZE + 3 * len(of_vectors)] = np.tile(of_vectors, 3)
    rounded = (each.astype(np.float16).astype(np.float32) for each in largest)
    return Ranges(*(np.where(each > 0, each, np.float32(1)) for each in rounded))


def _type_features(
    weights: Weights, products: np.ndarray | None, vectors: np.ndarray, batch: Batch
) -> np.ndarray:
    """What the graph computes of the features of token types, [types, dimension + filters]."""
    features: np.ndarray = vectors[batch.words].astype(np.float32)
    if "train_tokens.weight" in weights:
        features += weights["train_tokens.weight"][batch.train_tokens]
    if products is None:
        return features
    padded = np.pad(batch.characters, ((0, 0), (1, 1)), constant_values=PADDING)
    windows = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    values = sum(table[ids] for table, ids in zip(products, windows, strict=True))
    return np.hstack((features, values.max(axis=1) + weights["filters.bias"]))


def build_graph(configuration: TaggerConfiguration, weights: Weights, ranges: Ranges) -> bytes:
    """An ONNX model from the fields of a `Batch` to emissions, as the bytes of its file.

    The same weights give the same bytes. The model has those of these inputs that the tagger reads:

    * vectors, [types, dimension] float32: the word vector of each token type
    * train_tokens, [types], and characters, [types, longest], int32: as in `Batch`
    * token_types, [tokens] int64, and context, [tokens, size] float32: as in `Batch`
    * tokens, [2, steps, sentences], and cells, [2, tokens], int64: as in `Layout`

    The output is `emissions`, [tokens, tags] float32.
    """
    graph = _Graph()
    graph.constant("one", np.float32(1))
    graph.constant("zero", np.uint8(ZERO))
    graph.constant("last axis", np.array([1]))
    dimension = len(ranges.types)
    if configuration.character_count:
        dimension -= configuration.filters
    graph.input("vectors", TensorProto.FLOAT, "types", dimension)
    features = "vectors"
    if configuration.train_token_count:
        graph.input("train_tokens", TensorProto.INT32, "types")
        table = graph.constant("trained vectors", weights["train_tokens.weight"])
        features = graph.add("Add", features, graph.add("Gather", table, "train_tokens"))
    if configuration.character_count:
        graph.input("characters", TensorProto.INT32, "types", "longest")
        features = graph.add("Concat", features, _add_convolution(graph, weights), axis=1)
    graph.input("token_types", TensorProto.INT64, "tokens")
    features = _add_quantization(graph, "types", features, ranges.types)
    states = graph.add("Gather", features, "token_types")  # [tokens, size] uint8
    if configuration.document:
        graph.input("context", TensorProto.FLOAT, "tokens", len(ranges.context))
        context = _add_quantization(graph, "context", "context", ranges.context)
        states = graph.add("Concat", states, context, axis=1)
    _add_layout(graph, configuration.hidden)
    scales = np.concatenate((ranges.types, ranges.context))
    for layer in range(configuration.layers):
        states = _add_layer(graph, weights, f"lstms.{layer}", states, scales)
        scales = np.ones(2 * configuration.hidden, np.float32)
    _add_linear(graph, "emissions", states, weights["output.weight"], weights["output.bias"])
    output = _value("emissions", TensorProto.FLOAT, "tokens", len(configuration.tags))
    model = helper.make_model(
        graph.build("tagger", [output]),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, 1)],
        ir_version=IR_VERSION,
    )
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@dataclass
class _Graph:
    """The inputs, the constants and the nodes of a graph.

    A graph inside another one has a scope: the start of the names that are made up for its values.
    """

    scope: str = ""
    inputs: list[ValueInfoProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    nodes: list[NodeProto] = field(default_factory=list)

    def input(self, name: str, type_: int, *shape: int | str) -> str:
        self.inputs.append(_value(name, type_, *shape))
        return name

    def constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def add(self, operator: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output, which is `to` or made up."""
        output = to or f"{self.scope}{operator} {len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def split(self, value: str, *sizes: str, number: int, axis: int) -> list[str]:
        """Add a node that splits a value, into equal parts unless `sizes` names their sizes."""
        outputs = [f"{self.scope}Split {len(self.nodes)} {i}" for i in range(number)]
        equal: dict[str, Any] = {} if sizes else {"num_outputs": number}
        self.nodes.append(helper.make_node("Split", [value, *sizes], outputs, axis=axis, **equal))
        return outputs

    def cast(self, value: str) -> str:
        """Add a node that makes single precision of integers."""
        output = f"{self.scope}Cast {len(self.nodes)}"
        self.nodes.append(helper.make_node("Cast", [value], [output], to=TensorProto.FLOAT))
        return output

    def scan(
        self,
        step: "_Graph",
        starts: Sequence[str],
        inputs: Sequence[str],
        outputs: list[ValueInfoProto],
    ) -> list[str]:
        """Add a Scan; what its steps put out, beside their values for the next step.

        Args:
            step: the graph of a step; first come its inputs from the step before
            starts: those of the first step
            inputs: the others of all steps, [steps, …] each
            outputs: of a step; first come those for the next one
        """
        names = [f"{self.scope}Scan {len(self.nodes)} {i}" for i in range(len(outputs))]
        body = step.build("step", outputs)
        self.nodes.append(
            helper.make_node(
                "Scan", [*starts, *inputs], names, body=body, num_scan_inputs=len(inputs)
            )
        )
        return names[len(starts) :]

    def build(self, name: str, outputs: list[ValueInfoProto]) -> GraphProto:
        return helper.make_graph(self.nodes, name, self.inputs, outputs, self.constants)


def _value(name: str, type_: int, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, type_, shape or None)


def _values(type_: int, *names: str) -> list[ValueInfoProto]:
    """Values of unknown shapes."""
    return [_value(name, type_) for name in names]


def _add_convolution(graph: _Graph, weights: Weights) -> str:
    """The features of each token type's characters, [types, filters].

    Sums of two products are looked up by pairs of characters: one sum less for each window.
    """
    before, middle, after = character_products(weights)
    pairs = (before[:, None] + middle).reshape(-1, middle.shape[1])
    start = graph.constant("padding before", np.array([0, 1, 0, 0]))
    end = graph.constant("padding after", np.array([0, 0, 0, 1]))
    places = {"0": 0, "1": 1, "-1": -1, "end": np.iinfo(np.int64).max}
    for place, value in places.items():
        graph.constant(f"place {place}", np.array([value]))
    left = graph.add("Pad", "characters", start)
    left = graph.add("Slice", left, "place 0", "place -1", "last axis")
    right = graph.add("Pad", "characters", end)
    right = graph.add("Slice", right, "place 1", "place end", "last axis")
    left = graph.add("Mul", left, graph.constant("character count", np.int32(len(before))))
    pair = graph.add("Add", left, "characters")
    pair = graph.add("Gather", graph.constant("products of pairs", pairs), pair)
    single = graph.add("Gather", graph.constant("products", after), right)
    values = graph.add("Add", pair, single)  # [types, longest, filters]
    largest = graph.add("ReduceMax", values, "last axis", keepdims=0)
    return graph.add("Add", largest, graph.constant("filters", weights["filters.bias"]))


def _add_quantization(graph: _Graph, name: str, features: str, ranges: np.ndarray) -> str:
    """Features as integers of 8 bits, of which LARGEST_STATE stands for the range of each."""
    factors = graph.constant(f"{name} factors", np.float32(LARGEST_STATE) / ranges)
    return graph.add("QuantizeLinear", graph.add("Mul", features, factors), "one", "zero")


def _quantize(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights as integers, [inputs, outputs] int8, and what one of each sum stands for, [outputs].

    Args:
        weight: [outputs, inputs], for states of which LARGEST_STATE stands for 1
    """
    scales = np.abs(weight).max(axis=1) / LARGEST_WEIGHT
    scales[scales == 0] = 1
    return np.rint(weight / scales[:, None]).astype(np.int8).T, scales / LARGEST_STATE


def _add_linear(graph: _Graph, name: str, states: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """A linear layer of integer states, [rows, inputs], to [rows, outputs] float32.

    Args:
        graph: where the node goes. Its weights go there, too: ONNX Runtime packs only the weights
            of a node's own graph, and of the graph around it
        name: of its output
        states: LARGEST_STATE stands for 1
        weight: [outputs, inputs]
        bias: [outputs]
    """
    integers, scales = _quantize(weight)
    return graph.add(
        "MatMulIntegerToFloat",
        states,
        graph.constant(f"{name} weight", integers),
        "one",
        graph.constant(f"{name} scale", scales),
        "zero",
        "",  # the integer that stands for a weight of 0 is 0
        graph.constant(f"{name} bias", bias),
        to=name,
        domain=RUNTIME,
    )


def _add_layout(graph: _Graph, hidden: int) -> None:
    """What the layers need to go through a batch: see `_add_layer`."""
    graph.input("tokens", TensorProto.INT64, 2, "steps", "sentences")
    graph.input("cells", TensorProto.INT64, 2, "tokens")
    graph.constant("hidden", np.array([hidden]))
    graph.constant("rows of hidden", np.array([-1, hidden]))
    graph.constant("state scale", np.float32(1 / LARGEST_STATE))
    for direction in "01":
        graph.constant(direction, np.int64(direction))
        graph.add("Gather", "tokens", direction, to=f"tokens {direction}")
        graph.add("Gather", "cells", direction, to=f"cells {direction}")
    graph.constant("first axis", np.array([0]))
    graph.constant("gate sizes", np.array([3 * hidden, hidden]))
    graph.constant("few", np.int64(2 * FEW))
    graph.add("LessOrEqual", graph.add("Size", "tokens"), "few", to="is short")
    sentences = graph.add("Shape", "tokens", start=2)
    shape = graph.add("Concat", sentences, "hidden", axis=0)
    for name, value in (("first cell", np.float32(0)), ("first state", np.uint8(ZERO))):
        filling = numpy_helper.from_array(np.array([value]))
        graph.add("ConstantOfShape", shape, to=name, value=filling)


def _add_layer(graph: _Graph, weights: Weights, name: str, states: str, ranges: np.ndarray) -> str:
    """A bidirectional layer of the LSTM.

    Args:
        graph: where it goes
        weights: of the tagger
        name: of the layer
        states: [tokens, size] uint8
        ranges: what LARGEST_STATE stands for in each of them, [size]

    Returns:
        the hidden states, [tokens, 2 * hidden] uint8, where LARGEST_STATE stands for 1
    """
    directions = []
    for prefix in (f"{name}.directions.{d}" for d in "01"):
        own, recurrent = (weights[f"{prefix}.weight_{each}_l0"] for each in ("ih", "hh"))
        weight = np.concatenate((own * ranges, recurrent), axis=1)  # [4 * hidden, size + hidden]
        bias = weights[f"{prefix}.bias_ih_l0"] + weights[f"{prefix}.bias_hh_l0"]
        directions.append(_Direction(weight, bias))
    branches = {}
    for branch, recursion in {"then": _short_recursion, "else": _recursion}.items():
        inner = _Graph(scope=f"{name} {branch} ")
        grids = recursion(inner, directions, states)
        outputs = _values(TensorProto.UINT8, *grids)
        branches[f"{branch}_branch"] = inner.build(branch, outputs)
    grids = [f"{name} states {d}" for d in "01"]
    graph.nodes.append(helper.make_node("If", ["is short"], grids, **branches))
    of_tokens = [
        graph.add("Gather", graph.add("Reshape", grid, "rows of hidden"), f"cells {d}")
        for d, grid in zip("01", grids, strict=True)
    ]
    return graph.add("Concat", *of_tokens, axis=1)


class _Direction(NamedTuple):
    """The weights of a layer in one direction, by gate in the order of GATES.

    weight: of its inputs, LARGEST_STATE of which stands for 1, and of its hidden states,
        [4 * hidden, size + hidden]
    bias: [4 * hidden]
    """

    weight: np.ndarray
    bias: np.ndarray


def _recursion(graph: _Graph, directions: Sequence[_Direction], states: str) -> list[str]:
    """A layer's recursion in both directions.

    Returns:
        the hidden states in the grid of each direction, whose rows are [hidden] uint8
    """
    step = _Graph(scope=f"{graph.scope}step ")
    kinds = {"hidden": TensorProto.UINT8, "cell": TensorProto.FLOAT}
    for kind, type_ in kinds.items():
        step.inputs += _values(type_, *(f"{step.scope}last {kind} {d}" for d in "01"))
    step.inputs += _values(TensorProto.INT64, *(f"{step.scope}token {d}" for d in "01"))
    found: dict[str, list[str]] = {"hidden": [], "cell": [], "state": []}
    for d, (weight, bias) in zip("01", directions, strict=True):
        inputs = step.add("Gather", states, f"{step.scope}token {d}")
        inputs = step.add("Concat", inputs, f"{step.scope}last hidden {d}", axis=1)
        gates = {}
        for gate, rows, biases in zip(GATES, np.split(weight, 4), np.split(bias, 4), strict=True):
            total = _add_linear(step, f"{step.scope}{gate} {d}", inputs, rows, biases)
            gates[gate] = step.add("Tanh" if gate == "cell" else "Sigmoid", total)
        kept = step.add("Mul", gates["forget"], f"{step.scope}last cell {d}")
        cell = step.add("Add", kept, step.add("Mul", gates["input"], gates["cell"]))
        hidden = step.add("Mul", gates["output"], step.add("Tanh", cell))
        hidden = step.add("QuantizeLinear", hidden, "state scale", "zero")
        found["hidden"].append(hidden)
        found["cell"].append(cell)
        found["state"].append(step.add("Identity", hidden))
    outputs = _values(TensorProto.UINT8, *found["hidden"])
    outputs += _values(TensorProto.FLOAT, *found["cell"])
    outputs += _values(TensorProto.UINT8, *found["state"])
    starts = ["first state", "first state", "first cell", "first cell"]
    return graph.scan(step, starts, ["tokens 0", "tokens 1"], outputs)


def _short_recursion(graph: _Graph, directions: Sequence[_Direction], states: str) -> list[str]:
    """The same as `_recursion` in less time for a short text, in more for many tokens.

    The products of the inputs are taken before the steps. All gates are one product for each
    direction, and all that follows is done for both directions at once. The sums of integers are
    the same, and what is made of them is computed in the same order.
    """
    step = _Graph(scope=f"{graph.scope}step ")
    step.inputs += _values(TensorProto.UINT8, *(f"{step.scope}last hidden {d}" for d in "01"))
    step.inputs += _values(TensorProto.FLOAT, f"{step.scope}last cell")
    step.inputs += _values(TensorProto.INT32, f"{step.scope}inputs")
    inputs, totals, scales, biases = [], [], [], []
    for d, direction in zip("01", directions, strict=True):
        weight, bias = (
            np.concatenate([np.split(each, 4)[GATES.index(gate)] for gate in SHORT_GATES])
            for each in direction
        )
        integers, scale = _quantize(weight)
        own, recurrent = np.split(integers, [-(len(weight) // 4)])
        scales.append(scale)
        biases.append(bias)
        rows = graph.add("Gather", states, f"tokens {d}")  # [steps, sentences, size]
        name = graph.constant(f"{graph.scope}own {d}", own)
        product = graph.add("MatMulInteger", rows, name, "zero")
        inputs.append(graph.add("Unsqueeze", product, "last axis"))
        name = step.constant(f"{step.scope}recurrent {d}", recurrent)
        hidden = f"{step.scope}last hidden {d}"  # [1, sentences, hidden]
        totals.append(step.add("MatMulInteger", hidden, name, "zero"))
    total = step.add("Add", step.add("Concat", *totals, axis=0), f"{step.scope}inputs")
    total = step.cast(total)  # [2, sentences, 4 * hidden]
    total = step.add("Mul", total, step.constant(f"{step.scope}scales", np.stack(scales)[:, None]))
    total = step.add("Add", total, step.constant(f"{step.scope}biases", np.stack(biases)[:, None]))
    others, candidate = step.split(total, "gate sizes", number=2, axis=2)
    in_, forget, out = step.split(step.add("Sigmoid", others), number=3, axis=2)
    kept = step.add("Mul", forget, f"{step.scope}last cell")
    cell = step.add("Add", kept, step.add("Mul", in_, step.add("Tanh", candidate)))
    hidden = step.add("Mul", out, step.add("Tanh", cell))
    state = step.add("QuantizeLinear", hidden, "state scale", "zero")
    outputs = _values(TensorProto.UINT8, *step.split(state, number=2, axis=0))
    outputs += _values(TensorProto.FLOAT, cell)
    outputs += _values(TensorProto.UINT8, state)
    first = graph.add("Unsqueeze", "first state", "first axis")
    first_cell = graph.add("Unsqueeze", "first cell", "first axis")
    starts = [first, first, graph.add("Concat", first_cell, first_cell, axis=0)]
    joined = graph.add("Concat", *inputs, axis=1)  # [steps, 2, sentences, 4 * hidden]
    (grid,) = graph.scan(step, starts, [joined], outputs)
    return graph.split(grid, number=2, axis=1)
