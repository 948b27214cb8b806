#!/usr/bin/env python3
"""Writes tests/golden/gguf: models and tokenizers in GGUF, and what the reference implementations make of them. In an
environment of its own:

    pip install gguf==0.19.0 safetensors==0.8.0 sentencepiece==0.2.3
    python3 scripts/make_gguf_goldens.py [--out tests/golden/gguf]

types.gguf           a tensor of 2 x 256 weights of every type that is read, its bytes drawn at random (scales finite);
types.safetensors    the floats that the package `gguf` makes of them
MODEL.gguf           golden models of tests/golden/models, as llama.cpp's converter writes them: its names, rows of
                     queries and keys in its order (Llama), norms in F32, Llama 3's scaling as rope_freqs.weight
TOKENIZER.gguf       golden tokenizers of tests/golden/tokenizer (their cases.json holds the ids), no tensors
sentencepiece_*      tokenizers learned here by SentencePiece, with its ids of many texts
"""
import argparse
import io
import json
import math
import pathlib
import struct

import gguf
import numpy as np
import safetensors.numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent
Type = gguf.GGMLQuantizationType
TYPES = [Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q2_K, Type.Q3_K,
         Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.IQ4_NL, Type.IQ4_XS]
# Where float16 scales stand in a block, by byte.
SCALES = {Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.Q2_K: [80, 82],
          Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.IQ4_NL: [0], Type.IQ4_XS: [0]}


def write_types(out):
    random = np.random.default_rng(29)
    writer = gguf.GGUFWriter(out / "types.gguf", "llama")
    floats = {}
    for kind in TYPES:
        weights, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (2 * 256 // weights, size), dtype=np.uint8)
        if kind in SCALES:
            for at in SCALES[kind]:
                scales = random.normal(0, 0.1, len(blocks)).astype(np.float16)
                scales[0] = 5e-6  # a subnormal
                blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
        elif kind == Type.F32:
            blocks = random.normal(0, 1, 512).astype(np.float32).view(np.uint8)
        else:
            values = random.normal(0, 1, 512).astype(np.float16 if kind == Type.F16 else np.float32)
            blocks = (values.view(np.uint8) if kind == Type.F16 else (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8))
        data = blocks.reshape(2, -1)
        expected = gguf.quants.dequantize(data.view(np.float32) if kind == Type.F32 else
                                          data.view(np.float16) if kind == Type.F16 else data, kind)
        floats[kind.name] = np.ascontiguousarray(expected, dtype=np.float32).reshape(2, 256)
        assert np.isfinite(floats[kind.name]).all() and (floats[kind.name] != 0).any()
        if kind == Type.F32:
            writer.add_tensor(kind.name, data.view(np.float32))
        elif kind == Type.F16:
            writer.add_tensor(kind.name, data.view(np.float16))
        else:
            writer.add_tensor(kind.name, data, raw_dtype=kind)
    finish(writer)
    safetensors.numpy.save_file(floats, out / "types.safetensors")


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_folder(folder):
    """Tensors of a Hugging Face folder as (stored dtype, raw bytes, shape)."""
    tensors = {}
    for path in sorted(folder.glob("model*.safetensors")):
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        for name, entry in json.loads(data[8:8 + size]).items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            tensors[name] = (entry["dtype"], data[8 + size + begin:8 + size + end], entry["shape"])
    return tensors


def rows_interleaved(array, heads):
    """Hugging Face pairs rows i and i + d/2 of a head, llama.cpp rows 2i and 2i + 1."""
    return array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


NAMES = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "model.embed_tokens": "token_embd",
         "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        layer, stem = stem[len("model.layers."):].split(".", 1)
        return f"blk.{layer}.{NAMES[stem]}.{kind}"
    return f"{NAMES[stem]}.{kind}"


def llama3_factors(config):
    """By what the frequency of each pair is divided, as llama.cpp's converter computes it."""
    rope = config["rope_scaling"]
    factor, low, high, original = (rope[k] for k in ("factor", "low_freq_factor", "high_freq_factor",
                                                     "original_max_position_embeddings"))
    dim, factors = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"], []
    for pair in range(dim // 2):
        length = 2 * math.pi * config["rope_theta"] ** (2 * pair / dim)
        if length < original / high:
            factors.append(1)
        elif length > original / low:
            factors.append(factor)
        else:
            smooth = (original / length - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, dtype=np.float32)


def write_model(source, path):
    config = json.loads((source / "config.json").read_text())
    kind = config["model_type"]
    arch = {"mistral": "llama"}.get(kind, kind)
    heads, kv = config["num_attention_heads"], config.get("num_key_value_heads") or config["num_attention_heads"]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    width = config.get("head_dim")
    if width and width * heads != config["hidden_size"]:
        writer.add_key_length(width)
        writer.add_value_length(width)
    if arch == "llama":
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(width or config["hidden_size"] // heads)
    scaling = config.get("rope_scaling") or {}
    if scaling.get("type", scaling.get("rope_type")) == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    elif scaling.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    for name, (dtype, data, shape) in read_folder(source).items():
        if "rotary_emb" in name:
            continue
        raw = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}[dtype]
        array = np.frombuffer(data, dtype=raw).reshape(shape)
        if arch == "llama" and ".q_proj." in name:
            array = rows_interleaved(array, heads)
        if arch == "llama" and ".k_proj." in name:
            array = rows_interleaved(array, kv)
        array = np.ascontiguousarray(array)
        if len(shape) == 1:
            floats = (array.astype(np.uint32) << 16).view(np.float32) if dtype == "BF16" else array.astype(np.float32)
            writer.add_tensor(gguf_name(name), floats)
        elif dtype == "BF16":
            writer.add_tensor(gguf_name(name), array.view(np.uint8), raw_dtype=Type.BF16)
        else:
            writer.add_tensor(gguf_name(name), array)
    finish(writer)


MODELS = ["llama_gqa_tied_f16", "llama_bias_f16", "llama3_rope_bf16", "llama_linear_rope_f16", "qwen2_bias_tied_bf16",
          "qwen3_sharded_bf16"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/golden/gguf")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    write_types(out)
    for name in MODELS:
        write_model(ROOT / "tests/golden/models" / name, out / f"{name}.gguf")


main()
