#!/usr/bin/env python3
"""Writes tests/golden/gguf: models and tokenizers in GGUF, and what the reference implementations make of them. In an
environment of its own:

    pip install gguf==0.19.0 safetensors==0.8.0 sentencepiece==0.2.3 tokenizers==0.23.3
    python3 scripts/make_gguf_goldens.py [--out tests/golden/gguf]

types.gguf           a tensor of 2 x 256 weights of every type that is read, its bytes drawn at random (scales finite);
types.safetensors    the floats that the package `gguf` makes of them
MODEL.gguf           golden models of tests/golden/models, as llama.cpp's converter writes them: its names, rows of
                     queries and keys in its order (Llama), norms in F32, Llama 3's scaling as rope_freqs.weight
tokenizer_*.gguf     golden tokenizers of tests/golden/tokenizer (their cases.json holds the ids), no tensors
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
import sentencepiece

import golden_support
import make_tokenizer_goldens

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


# Pre-tokenizer names of the golden tokenizers whose tokenizer.json a named one stands for.
TOKENIZERS = {"llama3": "llama-bpe", "qwen2": "qwen2"}


def write_tokenizer(source, pre, path):
    """Tokens, types and merges as llama.cpp's converter writes them: added tokens are control tokens where they are
    special, else the user's own."""
    document = json.loads((source / "tokenizer.json").read_text())
    config = json.loads((source / "tokenizer_config.json").read_text())
    types = {}
    tokens = {id: token for token, id in document["model"]["vocab"].items()}
    for added in document["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    ids = {token: id for id, token in tokens.items()}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([tokens[id] for id in range(len(tokens))])
    writer.add_token_types([types.get(id, gguf.TokenType.NORMAL) for id in range(len(tokens))])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in document["model"]["merges"]])
    for key, add in (("bos_token", writer.add_bos_token_id), ("eos_token", writer.add_eos_token_id),
                     ("pad_token", writer.add_pad_token_id)):
        value = config.get(key)
        if value:
            add(ids[value["content"] if isinstance(value, dict) else value])
    if "add_bos_token" in config:
        writer.add_add_bos_token(config["add_bos_token"])
    writer.add_chat_template("{{ messages }}")
    finish(writer)


def learn_sentencepiece(out, name, prefix, user_defined):
    """A small BPE model with bytes and its ids of many texts, special tokens apart."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(make_tokenizer_goldens.CORPUS * 4), model_writer=model, model_type="bpe", vocab_size=420,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=prefix,
        user_defined_symbols=user_defined, hard_vocab_limit=False, minloglevel=2)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    writer = gguf.GGUFWriter(out / f"sentencepiece_{name}.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    tokens, scores, types = [], [], []
    for id in range(pieces.vocab_size()):
        kind = gguf.TokenType.NORMAL
        token = pieces.id_to_piece(id)
        if pieces.is_unknown(id):
            kind = gguf.TokenType.UNKNOWN
        elif pieces.is_control(id):
            kind = gguf.TokenType.CONTROL
        elif pieces.is_byte(id):
            kind = gguf.TokenType.BYTE
        elif token in user_defined:
            kind, token = gguf.TokenType.USER_DEFINED, token.replace("\u2581", " ")
        tokens.append(token)
        scores.append(pieces.get_score(id))
        types.append(kind)
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(pieces.bos_id())
    writer.add_eos_token_id(pieces.eos_id())
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(prefix)
    finish(writer)
    cases = []
    for text in make_tokenizer_goldens.TEXTS + ["a<start_of_turn>user\n\nhi  there   x<end_of_turn>", "\n\n\n    \t  a"]:
        ids = pieces.encode(text)
        # Lone surrogates and the like never come from text; U+2581 itself cannot be told from a space once decoded.
        cases.append({"text": text, "ids": ids, "decoded": pieces.decode(ids)})
    golden_support.write_cases(out / f"sentencepiece_{name}.json", cases, "sentencepiece " + sentencepiece.__version__)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/golden/gguf")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    write_types(out)
    for name in MODELS:
        write_model(ROOT / "tests/golden/models" / name, out / f"{name}.gguf")
    for name, pre in TOKENIZERS.items():
        write_tokenizer(ROOT / "tests/golden/tokenizer" / name, pre, out / f"tokenizer_{name}.gguf")
    golden_support.GOLDEN = out
    learn_sentencepiece(out, "llama", True, [])
    learn_sentencepiece(out, "gemma", False, ["<start_of_turn>", "<end_of_turn>", "\n\n", "\u2581\u2581", "\u2581\u2581\u2581"])


main()
