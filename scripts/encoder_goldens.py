"""What the makers of encoder goldens share: random weights that show every feature, and how models and states are written."""
import numpy as np

from make_goldens import round_to_stored, ten_digits, write_safetensors

LENGTHS = [9, 6]  # tokens of the two rows; the second is padded to the first


def random_weights(shapes, random, gain=1.0):
    """`shapes`: name -> shape. Activations of a few units, attention far from uniform."""
    weights = {}
    for name, shape in shapes.items():
        if name.endswith("LayerNorm.weight"):
            weights[name] = random.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            weights[name] = random.normal(size=shape) * 0.3
        elif name.endswith("embeddings.weight"):
            weights[name] = random.normal(size=shape)
        else:
            attention = 2.0 if name.endswith(("query.weight", "key.weight")) else 1.0
            weights[name] = random.normal(size=shape) * (gain * attention) / np.sqrt(shape[-1])
    return weights


def rounded(weights, dtype):
    """-> what is stored, name -> (dtype, shape, data), and the values that it stands for."""
    stored, values = {}, {}
    for name, exact in weights.items():
        data, values[name] = round_to_stored(exact, dtype)
        stored[name] = (dtype, exact.shape, data)
    return stored, values


def random_rows(spec, random):
    """-> tokens and token types of two rows."""
    rows = [random.randint(1, spec.vocab, size=length).tolist() for length in LENGTHS]
    return rows, [random.randint(0, spec.types, size=length).tolist() for length in LENGTHS]


def neutral(name, values):
    """A tensor that does nothing in the place of this one."""
    return np.ones_like(values) if name.endswith("LayerNorm.weight") else np.zeros_like(values)


def effect(spec, found, expected):
    """How far the last states or the logits moved."""
    last = f"state_{spec.layers}"
    return max(np.abs(found[last] - expected[last]).max(), np.abs(found["logits"] - expected["logits"]).max())


def write_expected(path, rows, types, expected):
    tensors = {}
    for name, lists in (("tokens", rows), ("types", types), ("mask", [[1] * len(row) for row in rows])):
        padded = np.stack([np.pad(np.array(row, dtype=int), (0, max(map(len, rows)) - len(row))) for row in lists])
        tensors[name] = ("I64", padded.shape, round_to_stored(padded, "I64")[0])
    for name, values in expected.items():
        tensors[name] = ("F64", values.shape, round_to_stored(ten_digits(values), "F64")[0])
    write_safetensors(path, tensors)
