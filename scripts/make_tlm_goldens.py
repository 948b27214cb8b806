#!/usr/bin/env python3
"""Writes tiny MobileBERT checkpoints with random weights, and the states that each layer must give, for the [golden] tests.

    scripts/make_tlm_goldens.py --out tests/golden/tlm [--seed N]

The forward pass below is the reference the C++ code is judged by. It is written from the paper (Sun et al. 2020) and from the
tensor names and shapes of published checkpoints, in float64 NumPy, one row at a time and without padding. It shares only the
writing of files with make_goldens.py. tests/golden/tlm/README.md describes the files and says what the numbers were compared with.

Each run also spoils one tensor or one rule at a time and prints how far the last states or the logits move. What moves them by
less than MIN_EFFECT would go untested, so that is an error.
"""
import argparse
import dataclasses
import pathlib
import sys
import zlib

import numpy as np

from encoder_goldens import effect, neutral, random_rows, random_weights, rounded, write_expected
from make_goldens import MIN_EFFECT, write_json, write_safetensors

FRAMEWORK_EPS = 1e-5  # of the embeddings' norm and of the norm before the output bottleneck: they ignore layer_norm_eps


@dataclasses.dataclass(frozen=True)
class Spec:
    name: str
    dtype: str = "F32"  # stored type
    vocab: int = 31
    embedding: int = 6
    hidden: int = 16
    bottleneck: int = 8
    intermediate: int = 12
    layers: int = 2
    heads: int = 2
    networks: int = 4
    positions: int = 12
    types: int = 2
    use_bottleneck: bool = True
    shared_key_query: bool = True
    bottleneck_attention: bool = False
    trigram: bool = True
    norm: str = "no_norm"
    eps: float = 1e-12
    prefix: str = "mobilebert."
    rule: str = ""  # a rule to break on purpose, see BROKEN

    @property
    def inner(self):
        return self.bottleneck if self.use_bottleneck else self.hidden


SPECS = [
    Spec("published_no_norm"),
    Spec("layer_norm_f16", dtype="F16", norm="layer_norm", eps=0.05, networks=2),
    Spec("bottleneck_attention", norm="layer_norm", eps=1e-3, networks=1, trigram=False, bottleneck_attention=True,
         shared_key_query=False),
    Spec("no_bottleneck", use_bottleneck=False, networks=2, heads=4, prefix=""),
    Spec("plain_embedding_bf16", dtype="BF16", embedding=16, trigram=False, norm="layer_norm", eps=0.02, networks=3),
]
# Rules that a reader of the paper could get wrong: what to print, for which specs it must show.
BROKEN = {
    "neighbours": ("left and right neighbour swapped", lambda s: s.trigram),
    "framework_eps": ("layer_norm_eps in every norm", lambda s: s.norm == "layer_norm" and s.eps > 1e-3),
    "scale": ("attention scaled by the hidden width", lambda s: s.use_bottleneck),
    "residual": ("layer input left out of the output bottleneck", lambda s: s.use_bottleneck),
    "activation": ("no activation", lambda s: True),
}


# --- reference forward pass ------------------------------------------------------------------------------------------

def layer_norm(x, weight, bias, eps):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(axis=-1, keepdims=True) + eps) * weight + bias


class Reference:
    def __init__(self, spec, weights):
        self.spec, self.weights = spec, weights

    def affine(self, name, x):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, name, x, eps):
        weight, bias = self.weights[name + ".LayerNorm.weight"], self.weights[name + ".LayerNorm.bias"]
        if self.spec.norm == "no_norm":
            return x * weight + bias
        return layer_norm(x, weight, bias, self.spec.eps if self.spec.rule == "framework_eps" else eps)

    def relu(self, x):
        return x if self.spec.rule == "activation" else np.maximum(x, 0.0)

    def embed(self, tokens, types):
        spec, at = self.spec, self.spec.prefix + "embeddings"
        x = self.weights[at + ".word_embeddings.weight"][tokens]
        if spec.trigram:
            zero = np.zeros((1, spec.embedding))
            right, left = np.vstack([x[1:], zero]), np.vstack([zero, x[:-1]])
            x = np.hstack([left, x, right] if spec.rule == "neighbours" else [right, x, left])
        if spec.trigram or spec.embedding != spec.hidden:
            x = self.affine(at + ".embedding_transformation", x)
        x = x + self.weights[at + ".position_embeddings.weight"][:len(tokens)]
        x = x + self.weights[at + ".token_type_embeddings.weight"][types]
        return self.norm(at, x, FRAMEWORK_EPS)

    def attention(self, at, query_in, value_in):
        spec = self.spec
        q, k = self.affine(at + ".query", query_in), self.affine(at + ".key", query_in)
        v = self.affine(at + ".value", value_in)
        width, out = spec.inner // spec.heads, np.zeros_like(v)
        for head in range(spec.heads):
            part = slice(head * width, (head + 1) * width)
            scores = q[:, part] @ k[:, part].T / np.sqrt(spec.hidden // spec.heads if spec.rule == "scale" else width)
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            out[:, part] = scores / scores.sum(axis=1, keepdims=True) @ v[:, part]
        return out

    def network(self, at, x, eps):
        """One feed-forward network with its residual."""
        return self.norm(at + "output", self.affine(at + "output.dense", self.relu(self.affine(at + "intermediate.dense", x))) + x, eps)

    def layer(self, index, x):
        spec, at = self.spec, f"{self.spec.prefix}encoder.layer.{index}."

        def narrowed(which):
            return self.norm(at + "bottleneck." + which, self.affine(at + f"bottleneck.{which}.dense", x), spec.eps)

        inner, query_in, value_in = x, x, x
        if spec.use_bottleneck:
            inner = narrowed("input")
            if spec.bottleneck_attention:
                query_in = value_in = inner
            elif spec.shared_key_query:
                query_in = narrowed("attention")
        attended = self.affine(at + "attention.output.dense", self.attention(at + "attention.self", query_in, value_in))
        y = self.norm(at + "attention.output", attended + inner, spec.eps)
        for i in range(spec.networks - 1):
            y = self.network(f"{at}ffn.{i}.", y, spec.eps)
        y = self.network(at, y, FRAMEWORK_EPS)
        if not spec.use_bottleneck:
            return y
        wide = self.affine(at + "output.bottleneck.dense", y)
        return self.norm(at + "output.bottleneck", wide if spec.rule == "residual" else wide + x, spec.eps)

    def logits(self, x):
        """Masked-word logits; this head has a LayerNorm whatever the body's norm."""
        at, weights = "cls.predictions.", self.weights
        h = self.relu(self.affine(at + "transform.dense", x))
        h = layer_norm(h, weights[at + "transform.LayerNorm.weight"], weights[at + "transform.LayerNorm.bias"], self.spec.eps)
        decoder = weights[self.spec.prefix + "embeddings.word_embeddings.weight"]
        if self.spec.hidden > self.spec.embedding:
            decoder = np.hstack([decoder, weights[at + "dense.weight"].T])
        return h @ decoder.T + weights[at + "bias"]

    def run(self, rows, types):
        """-> state_0 (embeddings) .. state_N (last layer) and logits, each [rows, positions, ...], zero where padded."""
        results = []
        for tokens, kinds in zip(rows, types):
            states = [self.embed(tokens, kinds)]
            for i in range(self.spec.layers):
                states.append(self.layer(i, states[-1]))
            results.append(states + [self.logits(states[-1])])
        names = [f"state_{i}" for i in range(self.spec.layers + 1)] + ["logits"]
        longest = max(map(len, rows))

        def stack(i):
            return np.stack([np.vstack([row[i], np.zeros((longest - len(row[i]), row[i].shape[1]))]) for row in results])

        return {name: stack(i) for i, name in enumerate(names)}


# --- random weights --------------------------------------------------------------------------------------------------

def shapes(spec):
    """Name -> shape of every tensor, as transformers names them."""
    hidden, inner, wide = spec.hidden, spec.inner, spec.intermediate
    found = {}

    def affine(name, outputs, inputs):
        found[name + ".weight"], found[name + ".bias"] = (outputs, inputs), (outputs,)

    def dense(name, outputs, inputs):
        affine(name + ".dense", outputs, inputs)
        found[name + ".LayerNorm.weight"] = found[name + ".LayerNorm.bias"] = (outputs,)

    at = spec.prefix + "embeddings."
    found[at + "word_embeddings.weight"] = (spec.vocab, spec.embedding)
    found[at + "position_embeddings.weight"] = (spec.positions, hidden)
    found[at + "token_type_embeddings.weight"] = (spec.types, hidden)
    affine(at + "embedding_transformation", hidden, spec.embedding * (3 if spec.trigram else 1))
    found[at + "LayerNorm.weight"] = found[at + "LayerNorm.bias"] = (hidden,)
    for i in range(spec.layers):
        at = f"{spec.prefix}encoder.layer.{i}."
        if spec.use_bottleneck:
            dense(at + "bottleneck.input", inner, hidden)
            if spec.shared_key_query:
                dense(at + "bottleneck.attention", inner, hidden)
            dense(at + "output.bottleneck", hidden, inner)
        affine(at + "attention.self.query", inner, inner)
        affine(at + "attention.self.key", inner, inner)
        affine(at + "attention.self.value", inner, inner if spec.bottleneck_attention else hidden)
        dense(at + "attention.output", inner, inner)
        for network in [f"{at}ffn.{n}." for n in range(spec.networks - 1)] + [at]:
            affine(network + "intermediate.dense", wide, inner)
            dense(network + "output", inner, wide)
    dense("cls.predictions.transform", hidden, hidden)
    if hidden > spec.embedding:
        found["cls.predictions.dense.weight"] = (hidden - spec.embedding, spec.vocab)
    found["cls.predictions.bias"] = (spec.vocab,)
    return found


def config(spec):
    """config.json as transformers 4 writes it."""
    return {"architectures": ["MobileBertForMaskedLM"], "attention_probs_dropout_prob": 0.1, "classifier_activation": False,
            "embedding_size": spec.embedding, "hidden_act": "relu", "hidden_dropout_prob": 0.0, "hidden_size": spec.hidden,
            "initializer_range": 0.02, "intermediate_size": spec.intermediate, "intra_bottleneck_size": spec.bottleneck,
            "key_query_shared_bottleneck": spec.shared_key_query, "layer_norm_eps": spec.eps,
            "max_position_embeddings": spec.positions, "model_type": "mobilebert", "normalization_type": spec.norm,
            "num_attention_heads": spec.heads, "num_feedforward_networks": spec.networks,
            "num_hidden_layers": spec.layers, "pad_token_id": 0, "trigram_input": spec.trigram,
            "true_hidden_size": spec.inner, "type_vocab_size": spec.types, "use_bottleneck": spec.use_bottleneck,
            "use_bottleneck_attention": spec.bottleneck_attention, "vocab_size": spec.vocab}


# --- does everything show? -------------------------------------------------------------------------------------------

def unused(spec, name):
    """Tensors that a checkpoint holds and no rule reads; a key's bias moves all scores of a query alike."""
    return name.endswith("key.bias") or ("embedding_transformation" in name and not spec.trigram and spec.embedding == spec.hidden)


def check_features(spec, weights, rows, types, expected):
    def moved_by(broken_spec, broken_weights):
        return effect(spec, Reference(broken_spec, broken_weights).run(rows, types), expected)

    variants = {}
    for name, values in weights.items():
        variants[name] = (spec, {**weights, name: neutral(name, values)}, not unused(spec, name))
    for rule, (what, shows) in BROKEN.items():
        variants[what] = (dataclasses.replace(spec, rule=rule), weights, shows(spec))
    problems, weakest = [], np.inf
    for what, (broken_spec, broken_weights, must_show) in variants.items():
        moved = moved_by(broken_spec, broken_weights)
        if must_show:
            weakest = min(weakest, moved)
        if must_show and not moved >= MIN_EFFECT:
            problems.append(f"{spec.name}: {what} moves nothing by {MIN_EFFECT}, only by {moved:.1e}")
    logits = expected["logits"]
    print(f"{spec.name}: logits {logits.min():.1f} .. {logits.max():.1f}, {len(variants)} features, weakest effect {weakest:.3f}")
    return problems


def make_model(folder, spec, seed):
    random = np.random.RandomState((seed + zlib.crc32(spec.name.encode())) % 2 ** 32)  # a stream NumPy promises to keep
    gain = 1.0 if spec.norm == "layer_norm" else 0.6  # without norms states would grow from layer to layer
    stored, weights = rounded(random_weights(shapes(spec), random, gain), spec.dtype)
    rows, types = random_rows(spec, random)
    expected = Reference(spec, weights).run(rows, types)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config(spec))
    write_safetensors(folder / "model.safetensors", stored, {"format": "pt"})
    write_expected(folder / "expected.safetensors", rows, types, expected)
    return check_features(spec, weights, rows, types, expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder that receives one folder per model")
    parser.add_argument("--seed", type=int, default=1, help="other weights and tokens (default 1)")
    args = parser.parse_args()
    problems = [line for spec in SPECS for line in make_model(args.out / spec.name, spec, args.seed)]
    for line in problems:
        print("error:", line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
