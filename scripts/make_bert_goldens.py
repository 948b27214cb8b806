#!/usr/bin/env python3
"""Writes tiny BERT checkpoints with random weights, and the states that each layer must give, for the [golden] tests.

    scripts/make_bert_goldens.py --out tests/golden/tlm [--seed N]
    scripts/make_bert_goldens.py --real FOLDER    a real checkpoint's states, into FOLDER/expected.safetensors and expected.json

The reference is transformers' BertForMaskedLM in float64, one row at a time and without padding. In an environment of its own:

    pip install numpy torch transformers==5.24.0

Each run also spoils one tensor or one rule at a time and prints how far the last states or the logits move. What moves them by
less than MIN_EFFECT would go untested, so that is an error. tests/golden/tlm/README.md describes the files.
"""
import argparse
import dataclasses
import pathlib
import sys
import zlib

import numpy as np
import torch
import transformers
from encoder_goldens import effect, neutral, random_rows, random_weights, rounded, write_expected
from make_goldens import MIN_EFFECT, round_to_stored, write_json, write_safetensors

# The tanh form of GELU is off by 5e-4 at most: far above the tolerances, far below MIN_EFFECT.
MIN_TANH_EFFECT = 1e-4


@dataclasses.dataclass(frozen=True)
class Spec:
    name: str
    dtype: str  # stored type
    prefix: str = "bert."
    old_norms: bool = False  # gamma and beta
    extras: bool = False  # pooler, next-sentence head, tied decoder, buffer
    hidden: int = 16
    heads: int = 2
    intermediate: int = 24
    layers: int = 2
    vocab: int = 31
    positions: int = 12
    types: int = 2
    eps: float = 1e-12
    activation: str = "gelu"

    def config(self):
        return transformers.BertConfig(
            vocab_size=self.vocab, hidden_size=self.hidden, num_hidden_layers=self.layers, num_attention_heads=self.heads,
            intermediate_size=self.intermediate, max_position_embeddings=self.positions, type_vocab_size=self.types,
            layer_norm_eps=self.eps, hidden_act=self.activation, attn_implementation="eager")


SPECS = [
    Spec("bert_f32", "F32", extras=True),
    Spec("bert_bare_f16", "F16", prefix="", heads=4, eps=0.05),
    Spec("bert_gamma_bf16", "BF16", old_norms=True, types=3, eps=0.02),
]


def shapes(spec):
    """Name -> shape of what the model computes by, as transformers names it; the decoder is the words' embedding."""
    model = transformers.BertForMaskedLM(spec.config())
    return {name: tuple(value.shape) for name, value in model.state_dict().items()
            if not name.startswith("cls.predictions.decoder.") and not name.endswith("position_ids")}


def reference(spec, weights, rows, types):
    """-> state_0 (embeddings) .. state_N (last layer) and logits, each [rows, positions, ...], zero where padded."""
    model = transformers.BertForMaskedLM(spec.config()).double().eval()
    state = {name: torch.from_numpy(values) for name, values in weights.items()}
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    state["cls.predictions.decoder.bias"] = state["cls.predictions.bias"]
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("position_ids") for name in missing), (missing, unexpected)
    results = []
    with torch.no_grad():
        for tokens, kinds in zip(rows, types):
            out = model(input_ids=torch.tensor([tokens]), token_type_ids=torch.tensor([kinds]), output_hidden_states=True)
            results.append([state[0].numpy() for state in out.hidden_states] + [out.logits[0].numpy()])
    return stack(results, [f"state_{i}" for i in range(spec.layers + 1)] + ["logits"])


def stack(results, names):
    longest = max(len(row[0]) for row in results)
    return {name: np.stack([np.pad(row[i], ((0, longest - len(row[i])), (0, 0))) for row in results]) for i, name in enumerate(names)}


def stored_name(spec, name):
    if spec.prefix == "" and name.startswith("bert."):
        name = name[len("bert."):]
    if spec.old_norms:
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    return name


def check_features(spec, weights, rows, types, expected):
    def moved_by(broken_spec, broken_weights):
        return effect(spec, reference(broken_spec, broken_weights, rows, types), expected)

    variants = {"no activation but ReLU": (dataclasses.replace(spec, activation="relu"), weights, MIN_EFFECT),
                "GELU in its tanh form": (dataclasses.replace(spec, activation="gelu_new"), weights, MIN_TANH_EFFECT)}
    if spec.eps > 1e-3:
        variants["the framework's eps"] = (dataclasses.replace(spec, eps=1e-5), weights, MIN_EFFECT)
    for name, values in weights.items():
        bound = 0 if name.endswith("key.bias") else MIN_EFFECT  # a key's bias moves all scores of a query alike
        variants[name] = (spec, {**weights, name: neutral(name, values)}, bound)
    problems, weakest = [], np.inf
    for what, (broken_spec, broken_weights, bound) in variants.items():
        moved = moved_by(broken_spec, broken_weights)
        weakest = min(weakest, moved if bound == MIN_EFFECT else np.inf)
        if moved < bound:
            problems.append(f"{spec.name}: {what} moves nothing by {bound}, only by {moved:.1e}")
    logits = expected["logits"]
    print(f"{spec.name}: logits {logits.min():.1f} .. {logits.max():.1f}, {len(variants)} features, weakest effect {weakest:.3f}, "
          f"tanh form {moved_by(*variants['GELU in its tanh form'][:2]):.1e}")
    return problems


def make_model(folder, spec, seed):
    random = np.random.RandomState((seed + zlib.crc32(spec.name.encode())) % 2 ** 32)  # a stream NumPy promises to keep
    stored, weights = rounded(random_weights(shapes(spec), random), spec.dtype)
    stored = {stored_name(spec, name): tensor for name, tensor in stored.items()}
    if spec.extras:
        for name, shape in (("bert.pooler.dense.weight", (spec.hidden, spec.hidden)), ("bert.pooler.dense.bias", (spec.hidden,)),
                            ("cls.seq_relationship.weight", (2, spec.hidden)), ("cls.seq_relationship.bias", (2,))):
            stored[name] = (spec.dtype, shape, round_to_stored(random.normal(size=shape), spec.dtype)[0])
        stored["cls.predictions.decoder.weight"] = stored["bert.embeddings.word_embeddings.weight"]
        stored["bert.embeddings.position_ids"] = ("I64", (1, spec.positions), round_to_stored(np.arange(spec.positions), "I64")[0])
    rows, types = random_rows(spec, random)
    expected = reference(spec, weights, rows, types)
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in spec.config().to_dict().items() if key not in ("_name_or_path", "transformers_version")}
    write_json(folder / "config.json", {**config, "architectures": ["BertForMaskedLM"]})
    aligned = dict(sorted(stored.items(), key=lambda item: item[1][0] != "I64"))  # eight bytes a number first
    write_safetensors(folder / "model.safetensors", aligned, {"format": "pt"})
    write_expected(folder / "expected.safetensors", rows, types, expected)
    return check_features(spec, weights, rows, types, expected)


TEXTS = ["The quick brown fox jumps over the lazy dog.",
         "Who wrote the report on the café's naïve re-opening in Zürich, and when? 北京 3.14%",
         "Meeting notes: the council approved $1,250,000 for the bridge; Ms. O'Neil (District 4) asked for an antidisestablishmentarianism "
         "review by 2026-03-09. " * 4]


def make_real(folder):
    """States of every layer for TEXTS, and the ids that transformers' tokenizer gives them."""
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager", add_pooling_layer=False).double().eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = [tokenizer(text, truncation=True, max_length=model.config.max_position_embeddings)["input_ids"] for text in TEXTS]
    types = [[1 if i > len(row) // 2 else 0 for i in range(len(row))] for row in rows]
    results = []
    with torch.no_grad():
        for tokens, kinds in zip(rows, types):
            out = model(input_ids=torch.tensor([tokens]), token_type_ids=torch.tensor([kinds]), output_hidden_states=True)
            results.append([state[0].numpy() for state in out.hidden_states])
    expected = stack(results, [f"state_{i}" for i in range(model.config.num_hidden_layers + 1)])
    write_expected(folder / "expected.safetensors", rows, types, expected)
    write_json(folder / "expected.json", {"texts": TEXTS, "ids": rows})
    last = max(expected, key=lambda name: int(name.split("_")[1]))
    print(f"{folder}: {len(rows)} texts of {', '.join(str(len(row)) for row in rows)} tokens, last states up to {np.abs(expected[last]).max():.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, help="folder that receives one folder per model")
    parser.add_argument("--real", type=pathlib.Path, help="folder of a BERT checkpoint")
    parser.add_argument("--seed", type=int, default=1, help="other weights and tokens (default 1)")
    args = parser.parse_args()
    if args.out is None and args.real is None:
        parser.error("give --out or --real")
    if args.real is not None:
        make_real(args.real)
    problems = [line for spec in SPECS for line in make_model(args.out / spec.name, spec, args.seed)] if args.out is not None else []
    for line in problems:
        print("error:", line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
