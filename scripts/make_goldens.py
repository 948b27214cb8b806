#!/usr/bin/env python3
"""Writes tiny checkpoints with random weights, and the logits that each must give, for the [golden] tests.

    scripts/make_goldens.py --out tests/golden/models [--seed N]

The forward pass below is the reference the C++ code is judged by. It is written from the papers (Llama 2, Mistral 7B,
Qwen2, Qwen3, RoFormer, GQA, RMSNorm, SwiGLU) and from the published Llama 3.1 frequency formula, in float64 NumPy, and
shares no code with the rest of the repository. tests/golden/models/README.md describes the files and says which engine
the numbers were compared with.

Each run also breaks one feature at a time in the reference (no bias, other rotation pairs, no window, ...) and prints
how far the logits move. A feature that moves them by less than MIN_EFFECT would go untested, so that is an error.
"""
import argparse
import dataclasses
import json
import pathlib
import struct
import sys
import zlib

import numpy as np

MIN_EFFECT = 1e-2  # smallest change of some logit that counts as visible; the logits spread over a few units


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape and variant of one model. Weight names and matrix layouts [out, in] are those of Hugging Face."""
    name: str
    family: str  # model_type of config.json, or llama2c_v0 / llama2c_v1
    dtype: str  # stored type: F32, F16 or BF16
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocab: int
    length: int  # tokens per sequence
    layers: int = 2
    eps: float = 1e-5
    theta: float = 10000.0
    scaling: dict = None  # rope_scaling of config.json
    window: int = None  # attend to the last `window` positions only, the current one included
    tied: bool = False
    biases: str = ""  # which of q k v o carry a bias
    qk_norm: bool = False
    pairs: str = "halves"  # rotated pairs: (i, i + d/2) in Hugging Face files, (2i, 2i + 1) in llama2.c files
    shards: int = 1
    embedding_std: float = 0.03  # small: the first norm then feels eps
    unused_window: int = None  # written to config.json with use_sliding_window false


SPECS = [
    Spec("llama2_mha_f32", "llama", "F32", 32, 4, 4, 8, 20, 37, 12),
    Spec("llama_gqa_tied_f16", "llama", "F16", 36, 6, 3, 6, 44, 43, 12, eps=2e-3, tied=True, embedding_std=0.4),
    Spec("llama3_rope_bf16", "llama", "BF16", 32, 2, 1, 16, 28, 33, 24, theta=20000.0,
         scaling={"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                  "original_max_position_embeddings": 64, "rope_type": "llama3"}),
    Spec("llama_linear_rope_f16", "llama", "F16", 32, 4, 4, 8, 20, 37, 14, eps=1e-3, tied=True, embedding_std=0.4,
         scaling={"factor": 2.5, "type": "linear"}),
    Spec("mistral_window_bf16", "mistral", "BF16", 32, 4, 2, 8, 44, 41, 16, theta=50000.0, window=5),
    Spec("qwen2_bias_tied_bf16", "qwen2", "BF16", 32, 4, 2, 8, 44, 37, 12, eps=1e-3, theta=1000000.0, tied=True,
         embedding_std=0.4, biases="qkv", unused_window=4),
    Spec("qwen3_sharded_bf16", "qwen3", "BF16", 32, 4, 2, 12, 36, 43, 12, eps=1e-5, theta=1000000.0, qk_norm=True,
         shards=3),
    Spec("llama_bias_f16", "llama", "F16", 32, 4, 2, 12, 28, 41, 12, theta=500000.0, biases="qkvo"),
    Spec("llama2c_v0_tied", "llama2c_v0", "F32", 24, 4, 2, 6, 20, 36, 12, tied=True, pairs="neighbours"),
    Spec("llama2c_v0_untied", "llama2c_v0", "F32", 24, 4, 4, 6, 12, 35, 12, pairs="neighbours"),
    Spec("llama2c_v1_tied", "llama2c_v1", "F32", 16, 4, 2, 4, 12, 37, 12, tied=True, pairs="neighbours"),
    Spec("llama2c_v1_untied", "llama2c_v1", "F32", 24, 4, 2, 6, 12, 33, 12, pairs="neighbours"),
]
MASKED_MODEL = "llama_gqa_tied_f16"
MASKED_CASES = [  # units kept per layer; all others are removed, that is, add nothing to the residual stream
    {"name": "scattered", "kv_groups": [[0, 2], [1]],
     "neurons": [sorted(set(range(44)) - {0, 5, 6, 17, 30, 43}), [1, 2, 3, 8, 9, 14, 20, 21, 22, 31, 39, 42]]},
    {"name": "prefix", "kv_groups": [[0], [0, 1]], "neurons": [list(range(32)), list(range(12))]},
    {"name": "without_layer_1", "kv_groups": [[0, 1, 2], []], "neurons": [list(range(44)), []]},
]
LAYER = "model.layers.{}."
NORMS = {"input_layernorm": "input norm weight", "post_attention_layernorm": "second norm weight",
         "model.norm": "final norm weight"}


# --- reference forward pass ------------------------------------------------------------------------------------------

def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def silu(x):
    return x / (1.0 + np.exp(-x))


def rope_frequencies(spec):
    """Angle per position for each of the head_dim / 2 pairs."""
    freq = spec.theta ** (-2.0 * np.arange(spec.head_dim // 2) / spec.head_dim)
    if spec.scaling is None:
        return freq
    factor = spec.scaling["factor"]
    if spec.scaling.get("rope_type", spec.scaling.get("type")) == "linear":
        return freq / factor
    low, high = spec.scaling["low_freq_factor"], spec.scaling["high_freq_factor"]
    turns = spec.scaling["original_max_position_embeddings"] * freq / (2.0 * np.pi)  # over the original context
    blend = np.clip((turns - low) / (high - low), 0.0, 1.0)  # 0: slow, stretched; 1: fast, kept; smooth between
    return (1.0 - blend) * freq / factor + blend * freq


def rotate(x, freq, pairs):
    """x [positions, heads, head_dim], rotated by position * freq."""
    angle = np.arange(len(x))[:, None, None] * freq
    half = x.shape[-1] // 2
    first, second = (slice(0, half), slice(half, None)) if pairs == "halves" else (slice(0, None, 2), slice(1, None, 2))
    out = np.empty_like(x)
    out[..., first] = x[..., first] * np.cos(angle) - x[..., second] * np.sin(angle)
    out[..., second] = x[..., first] * np.sin(angle) + x[..., second] * np.cos(angle)
    return out


def attention(spec, weights, prefix, x, kept_groups):
    def project(which, heads):
        y = x @ weights[f"{prefix}{which}_proj.weight"].T
        if which in spec.biases:
            y = y + weights[f"{prefix}{which}_proj.bias"]
        return y.reshape(len(x), heads, spec.head_dim)

    q, k, v = project("q", spec.heads), project("k", spec.kv_heads), project("v", spec.kv_heads)
    if spec.qk_norm:
        q = rms_norm(q, weights[prefix + "q_norm.weight"], spec.eps)
        k = rms_norm(k, weights[prefix + "k_norm.weight"], spec.eps)
    freq = rope_frequencies(spec)
    q, k = rotate(q, freq, spec.pairs), rotate(k, freq, spec.pairs)
    age = np.arange(len(x))[:, None] - np.arange(len(x))[None, :]
    visible = (age >= 0) & (age < (spec.window or len(x)))
    mixed = np.zeros_like(q)
    for head in range(spec.heads):
        group = head // (spec.heads // spec.kv_heads)
        if group not in kept_groups:
            continue
        scores = np.where(visible, q[:, head] @ k[:, group].T / np.sqrt(spec.head_dim), -np.inf)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        mixed[:, head] = scores / scores.sum(axis=1, keepdims=True) @ v[:, group]
    out = mixed.reshape(len(x), -1) @ weights[prefix + "o_proj.weight"].T
    return out + weights[prefix + "o_proj.bias"] if "o" in spec.biases else out


def mlp(weights, prefix, x, kept_neurons):
    neurons = silu(x @ weights[prefix + "gate_proj.weight"].T) * (x @ weights[prefix + "up_proj.weight"].T)
    kept = np.zeros(neurons.shape[1])
    kept[kept_neurons] = 1.0
    return (neurons * kept) @ weights[prefix + "down_proj.weight"].T


def forward(spec, weights, tokens, kept=None):
    """tokens [sequences, positions] -> logits [sequences, positions, vocab]; kept as an entry of MASKED_CASES."""
    kept = kept or {"kv_groups": [range(spec.kv_heads)] * spec.layers, "neurons": [range(spec.inner)] * spec.layers}
    logits = []
    for sequence in tokens:
        x = weights["model.embed_tokens.weight"][sequence]
        for i in range(spec.layers):
            at = LAYER.format(i)
            normed = rms_norm(x, weights[at + "input_layernorm.weight"], spec.eps)
            x = x + attention(spec, weights, at + "self_attn.", normed, list(kept["kv_groups"][i]))
            normed = rms_norm(x, weights[at + "post_attention_layernorm.weight"], spec.eps)
            x = x + mlp(weights, at + "mlp.", normed, list(kept["neurons"][i]))
        x = rms_norm(x, weights["model.norm.weight"], spec.eps)
        logits.append(x @ weights["model.embed_tokens.weight" if spec.tied else "lm_head.weight"].T)
    return np.stack(logits)


# --- random weights --------------------------------------------------------------------------------------------------

def round_to_stored(values, dtype):
    """Values in float64 -> (bytes as stored, the same values in float64). Ties round to even."""
    if dtype == "BF16":
        bits = values.astype("<f4").view("<u4")
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return bits.astype("<u2").tobytes(), (bits << 16).astype("<u4").view("<f4").astype(np.float64)
    stored = values.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8"}[dtype])
    return stored.tobytes(), stored.astype(np.float64)


def random_weights(spec, random):
    """Weights in float64, scaled so that logits spread over a few units and attention is far from uniform."""
    def matrix(rows, columns, gain):
        return random.normal(size=(rows, columns)) * gain / np.sqrt(columns)

    q, kv, h = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim, spec.hidden
    weights = {"model.embed_tokens.weight": random.normal(size=(spec.vocab, h)) * spec.embedding_std}
    for i in range(spec.layers):
        at, sizes = LAYER.format(i), {"q": (q, h, 1.4), "k": (kv, h, 1.4), "v": (kv, h, 1.0), "o": (h, q, 1.0)}
        weights[at + "input_layernorm.weight"] = random.uniform(0.5, 1.5, h)
        weights[at + "post_attention_layernorm.weight"] = random.uniform(0.5, 1.5, h)
        for which, (rows, columns, gain) in sizes.items():
            weights[f"{at}self_attn.{which}_proj.weight"] = matrix(rows, columns, gain)
            if which in spec.biases:
                weights[f"{at}self_attn.{which}_proj.bias"] = random.normal(size=rows) * 0.6
        if spec.qk_norm:
            weights[at + "self_attn.q_norm.weight"] = random.uniform(0.6, 2.0, spec.head_dim)
            weights[at + "self_attn.k_norm.weight"] = random.uniform(0.6, 2.0, spec.head_dim)
        weights[at + "mlp.gate_proj.weight"] = matrix(spec.inner, h, 1.3)
        weights[at + "mlp.up_proj.weight"] = matrix(spec.inner, h, 1.3)
        weights[at + "mlp.down_proj.weight"] = matrix(h, spec.inner, 1.3)
    # A tied head is as small as the embedding; the last norm makes up for it.
    head_gain = 0.4 / spec.embedding_std if spec.tied else 1.0
    weights["model.norm.weight"] = random.uniform(0.6, 1.6, h) * head_gain
    if not spec.tied:
        weights["lm_head.weight"] = matrix(spec.vocab, h, 2.5)
    return weights


# --- files -----------------------------------------------------------------------------------------------------------

def write_safetensors(path, tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes). On disk: 8-byte header length, JSON header padded to 8 bytes, data."""
    header, offset = ({"__metadata__": metadata} if metadata else {}), 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def hugging_face_config(spec):
    """config.json as transformers 4 writes it for the model_type."""
    base = {"architectures": [{"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}[spec.family]
                              + "ForCausalLM"],
            "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
            "hidden_size": spec.hidden, "initializer_range": 0.02, "intermediate_size": spec.inner,
            "max_position_embeddings": 512 if spec.scaling else 128, "model_type": spec.family,
            "num_attention_heads": spec.heads, "num_hidden_layers": spec.layers,
            "num_key_value_heads": spec.kv_heads, "rms_norm_eps": spec.eps, "rope_theta": spec.theta,
            "tie_word_embeddings": spec.tied,
            "torch_dtype": {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[spec.dtype],
            "transformers_version": "4.51.3", "use_cache": True, "vocab_size": spec.vocab}
    extra = {
        "llama": {"attention_bias": bool(spec.biases), "mlp_bias": False, "pretraining_tp": 1,
                  "rope_scaling": spec.scaling},
        "mistral": {"head_dim": None, "sliding_window": spec.window},
        "qwen2": {"max_window_layers": spec.layers, "rope_scaling": None, "sliding_window": spec.unused_window,
                  "use_sliding_window": False},
        "qwen3": {"attention_bias": False, "head_dim": spec.head_dim, "max_window_layers": spec.layers,
                  "rope_scaling": None, "sliding_window": None, "use_sliding_window": False},
    }[spec.family]
    if spec.family == "llama" and (spec.head_dim * spec.heads != spec.hidden or spec.scaling):
        extra["head_dim"] = spec.head_dim
    return dict(sorted({**base, **extra}.items()))


def transformers5_config(config):
    """The same model in the keys of transformers 5: dtype, and all of RoPE under rope_parameters."""
    changed = {k: v for k, v in config.items() if k not in ("torch_dtype", "rope_theta", "rope_scaling")}
    scaling = config["rope_scaling"] or {"rope_type": "default"}
    changed.update(dtype=config["torch_dtype"], transformers_version="5.0.0",
                   rope_parameters=dict(sorted({**scaling, "rope_theta": config["rope_theta"]}.items())))
    return dict(sorted(changed.items()))


def write_hugging_face(folder, spec, stored):
    tensors = {name: (spec.dtype, shape, data) for name, (shape, data) in sorted(stored.items())}
    if spec.name == "llama2_mha_f32":  # older Llama 2 checkpoints carry this derived tensor; readers ignore it
        freq, _ = round_to_stored(rope_frequencies(spec), "F32")
        for i in range(spec.layers):
            tensors[LAYER.format(i) + "self_attn.rotary_emb.inv_freq"] = ("F32", (spec.head_dim // 2,), freq)
    config = hugging_face_config(spec)
    write_json(folder / "config.json", config)
    if spec.name == "llama3_rope_bf16":
        write_json(folder / "config_transformers5.json", transformers5_config(config))
    if spec.shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})
        return
    names, where = list(tensors), {}
    for i in range(spec.shards):
        file = f"model-{i + 1:05d}-of-{spec.shards:05d}.safetensors"
        part = names[len(names) * i // spec.shards:len(names) * (i + 1) // spec.shards]  # may split a layer
        write_safetensors(folder / file, {name: tensors[name] for name in part}, {"format": "pt"})
        where.update({name: file for name in part})
    total = sum(len(data) for _, _, data in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": where})


def write_llama2c(path, spec, stored):
    """The two float32 formats of llama2.c: legacy (version 0) and version 1, magic 'ak42'."""
    def every_layer(part):
        return b"".join(stored[LAYER.format(i) + part + ".weight"][1] for i in range(spec.layers))

    norms = [every_layer("input_layernorm"), every_layer("post_attention_layernorm")]
    matrices = [every_layer(f"self_attn.{which}_proj") for which in "qkvo"]
    inner = [every_layer(f"mlp.{which}_proj") for which in ("gate", "down", "up")]  # w1, w2, w3
    embedding, last_norm = stored["model.embed_tokens.weight"][1], stored["model.norm.weight"][1]
    head = [] if spec.tied else [stored["lm_head.weight"][1]]
    sizes = [spec.hidden, spec.inner, spec.layers, spec.heads, spec.kv_heads, spec.vocab, spec.length + 4]
    if spec.family == "llama2c_v1":
        header = (struct.pack("<Ii7iB", 0x616B3432, 1, *sizes, spec.tied)).ljust(256, b"\0")
        parts = [header, *norms, last_norm, embedding, *matrices, *inner, *head]
    else:
        sizes[5] = spec.vocab if spec.tied else -spec.vocab  # the sign says whether a head follows
        angle = np.outer(np.arange(sizes[6]), rope_frequencies(spec))
        tables = [round_to_stored(f(angle), "F32")[0] for f in (np.cos, np.sin)]
        parts = [struct.pack("<7i", *sizes), embedding, norms[0], *matrices, norms[1], *inner, last_norm, *tables]
        parts += head
    path.write_bytes(b"".join(parts))


def ten_digits(values):
    """Rounded to 10 significant digits, so that the files do not depend on how a platform sums."""
    return np.array([float(f"{v:.9e}") for v in values.ravel()]).reshape(values.shape)


def write_expected(path, tokens, logits):
    """logits: name -> [sequences, positions, vocab]."""
    tensors = {"tokens": ("I64", tokens.shape, round_to_stored(tokens, "I64")[0])}
    for name, values in logits.items():
        tensors[name] = ("F64", values.shape, round_to_stored(ten_digits(values), "F64")[0])
    write_safetensors(path, tensors)


# --- does every feature show? ----------------------------------------------------------------------------------------

def broken_weights(spec, weights):
    """Yields (what, weights) with one feature of the weights ignored or misread."""
    def change(match, edit):
        return {k: edit(v) if match(k) else v for k, v in weights.items()}

    for part, what in NORMS.items():
        yield what + " = 1", change(lambda k: part in k, np.ones_like)
    yield "attention uniform", change(lambda k: ".q_proj." in k or ".q_norm." in k, np.zeros_like)
    for which in spec.biases:
        yield f"no {which} bias", change(lambda k: k.endswith(f"{which}_proj.bias"), np.zeros_like)
    for which in ("q", "k") if spec.qk_norm else ():
        yield f"{which}_norm weight = 1", change(lambda k: f".{which}_norm." in k, np.ones_like)
    swap = {"gate_proj": "up_proj", "up_proj": "gate_proj"}
    yield "gate and up swapped", {k: weights[k.replace(p, swap[p])] if (p := k.split(".")[-2]) in swap else v
                                  for k, v in weights.items()}
    if spec.head_dim * spec.heads != spec.hidden:
        gain = np.sqrt(spec.head_dim * spec.heads / spec.hidden)
        yield "scores scaled by hidden / heads", change(
            lambda k: (".q_norm." if spec.qk_norm else ".q_proj.") in k, lambda v: v * gain)
    if 1 < spec.kv_heads < spec.heads:
        order = np.argsort(np.arange(spec.heads) % spec.kv_heads, kind="stable")
        rows = (order[:, None] * spec.head_dim + np.arange(spec.head_dim)).ravel()
        mixed = change(lambda k: ".q_proj." in k, lambda v: v[rows])
        yield "query heads dealt out to groups", {k: v[:, rows] if ".o_proj.w" in k else v for k, v in mixed.items()}
    if not spec.tied:
        yield "embedding as head", {**weights, "lm_head.weight": weights["model.embed_tokens.weight"]}


def broken_specs(spec):
    """Yields (what, spec) with one setting ignored or misread."""
    replace = dataclasses.replace
    yield "no rotation", replace(spec, scaling={"type": "linear", "factor": np.inf})
    yield "other rotation pairs", replace(spec, pairs="neighbours" if spec.pairs == "halves" else "halves")
    default, other = 10000.0, 500000.0
    yield "theta of another default", replace(spec, theta=default if spec.theta != default else other)
    yield "eps 1e-6", replace(spec, eps=1e-6)
    if spec.scaling:
        yield "no rope_scaling", replace(spec, scaling=None)
        if "low_freq_factor" in spec.scaling:
            yield "llama3 as linear", replace(spec, scaling={"type": "linear", "factor": spec.scaling["factor"]})
            low, high = spec.scaling["low_freq_factor"], spec.scaling["high_freq_factor"]
            stretched, kept = {"low_freq_factor": high - 1e-9}, {"high_freq_factor": low + 1e-9}
            yield "llama3, middle band stretched", replace(spec, scaling={**spec.scaling, **stretched})
            yield "llama3, middle band kept", replace(spec, scaling={**spec.scaling, **kept})
    if spec.window:
        for window in (None, spec.window - 1, spec.window + 1):
            yield f"window {window}", replace(spec, window=window)
    if spec.unused_window:
        yield "unused window applied", replace(spec, window=spec.unused_window)
    if spec.qk_norm:
        yield "no q and k norms", replace(spec, qk_norm=False)


def check_features(spec, weights, tokens, logits):
    """Prints the effect of each broken feature; returns those too small to be tested."""
    print(f"{spec.name}: logits {logits.min():.1f} .. {logits.max():.1f}, standard deviation {logits.std():.2f}")
    variants = [(what, spec, w) for what, w in broken_weights(spec, weights)]
    variants += [(what, s, weights) for what, s in broken_specs(spec)]
    hidden = []
    for what, s, w in variants:
        effect = np.abs(forward(s, w, tokens) - logits).max()
        print(f"  {what:32s} {effect:8.3f}")
        if not effect >= MIN_EFFECT:
            hidden.append(f"{spec.name}: {what} moves no logit by {MIN_EFFECT}, only by {effect:.1e}")
    return hidden


def make_model(folder, spec, seed):
    """Writes one model with its expected logits; returns the features that do not show in them."""
    random = np.random.RandomState((seed + zlib.crc32(spec.name.encode())) % 2 ** 32)  # a stream NumPy promises to keep
    stored, weights = {}, {}
    for name, values in random_weights(spec, random).items():
        data, weights[name] = round_to_stored(values, spec.dtype)
        stored[name] = (values.shape, data)
    tokens = random.randint(0, spec.vocab, size=(2, spec.length))
    logits = forward(spec, weights, tokens)
    folder.mkdir(parents=True, exist_ok=True)
    if spec.family.startswith("llama2c"):
        write_llama2c(folder / "model.bin", spec, stored)
    else:
        write_hugging_face(folder, spec, stored)
    write_expected(folder / "expected.safetensors", tokens, {"logits": logits})
    if spec.name == MASKED_MODEL:
        masked = {"logits_masked." + case["name"]: forward(spec, weights, tokens, case) for case in MASKED_CASES}
        write_expected(folder / "masked.safetensors", tokens, masked)
        cases = [{"name": c["name"], "tensor": "logits_masked." + c["name"], "kv_groups": c["kv_groups"],
                  "neurons": c["neurons"]} for c in MASKED_CASES]
        (folder / "masked.json").write_text(
            '{\n"file": "masked.safetensors",\n"cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")
    return check_features(spec, weights, tokens, logits)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder that receives one folder per model")
    parser.add_argument("--seed", type=int, default=1, help="other weights and tokens (default 1)")
    args = parser.parse_args()
    hidden = [line for spec in SPECS for line in make_model(args.out / spec.name, spec, args.seed)]
    for line in hidden:
        print("error:", line, file=sys.stderr)
    return 1 if hidden else 0


if __name__ == "__main__":
    sys.exit(main())
