#!/usr/bin/env python3
"""Writes tiny checkpoints of families whose blocks differ from Llama's, with the logits of transformers in float64.

    python3 -m venv VENV && VENV/bin/pip install torch transformers
    VENV/bin/python scripts/make_family_goldens.py --out tests/golden/models

The models are transformers' own classes with random weights, saved by transformers; the logits are those of the weights
as stored. Each run also breaks one feature at a time (windows, layers that do not turn, norms of what a half adds, ...)
and fails if that moves no logit by MIN_EFFECT. tests/golden/models/README.md says which versions wrote what is stored.
"""
import argparse
import copy
import json
import pathlib

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

MIN_EFFECT = 1e-2

COMMON = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
SMOLLM3 = dict(COMMON, vocab_size=41, hidden_size=32, intermediate_size=44, num_hidden_layers=5, num_attention_heads=4,
               num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, no_rope_layer_interval=4,
               use_sliding_window=False, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 50000.0})
GEMMA3 = dict(COMMON, vocab_size=43, hidden_size=32, intermediate_size=44, num_hidden_layers=7, num_attention_heads=4,
              num_key_value_heads=2, head_dim=12, max_position_embeddings=64, rms_norm_eps=1e-5, sliding_window=5,
              query_pre_attn_scalar=20, hidden_activation="gelu_pytorch_tanh", tie_word_embeddings=True,
              rope_parameters={"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1000000.0},
                               "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})
PHI3 = dict(COMMON, vocab_size=41, hidden_size=64, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, original_max_position_embeddings=12, rms_norm_eps=1e-5,
            tie_word_embeddings=False, sliding_window=None,
            rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
                             "original_max_position_embeddings": 12,
                             "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 1.8],
                             "long_factor": [1.0, 1.5, 2.0, 3.0, 4.0, 6.0]})


def with_(settings, **changes):
    changed = copy.deepcopy(settings)
    changed.update(changes)
    return changed


def rope(settings, **changes):
    return with_(settings, rope_parameters=dict(settings["rope_parameters"], **changes))


# name, configuration class, settings, stored dtype, tokens in a sequence, what is broken one at a time
MODELS = [
    ("smollm3_unturned_bf16", transformers.SmolLM3Config, SMOLLM3, torch.bfloat16, 16,
     {"a layer that does not turn": with_(SMOLLM3, no_rope_layer_interval=10)}),
    ("gemma3_bf16", transformers.Gemma3TextConfig, GEMMA3, torch.bfloat16, 20,
     {"window": with_(GEMMA3, sliding_window=64),
      "the layer without a window": with_(GEMMA3, layer_types=["sliding_attention"] * 7),
      "scale of scores": with_(GEMMA3, query_pre_attn_scalar=12),
      "GELU": with_(GEMMA3, hidden_activation="silu"),
      "base of windowed layers": with_(GEMMA3, rope_parameters={
          "full_attention": GEMMA3["rope_parameters"]["full_attention"],
          "sliding_attention": {"rope_type": "default", "rope_theta": 1000000.0}})}),
    ("phi3_longrope_f32", transformers.Phi3Config, PHI3, torch.float32, 20,
     {"long factors": rope(PHI3, long_factor=PHI3["rope_parameters"]["short_factor"]),
      "magnitude": rope(PHI3, attention_factor=1.0)}),
    ("phi3_short_bf16", transformers.Phi3Config, with_(PHI3, sliding_window=5), torch.bfloat16, 11,
     {"short factors": rope(with_(PHI3, sliding_window=5), short_factor=[1.0] * 6),
      "window": PHI3}),
]


def build(config_class, settings, state=None, seed=1):
    torch.manual_seed(seed)
    config = config_class(**copy.deepcopy(settings))
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").double().eval()
    if state is not None:
        model.load_state_dict(state)
        return model
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.normal_(0.0 if "Gemma" in type(model).__name__ else 1.0, 0.3)
            elif "embed" in name:
                weight.normal_(0.0, 0.4)
            else:
                weight.normal_(0.0, 1.5 / weight.shape[1] ** 0.5)
    return model


def rounded(model, dtype):
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.to(dtype).double())
    return model


def logits(model, tokens):
    with torch.no_grad():
        return model(input_ids=tokens).logits.numpy()


def ten_digits(values):
    return np.array([float(f"{value:.9e}") for value in values.ravel()]).reshape(values.shape)


def make(folder, config_class, settings, dtype, length, broken):
    model = rounded(build(config_class, settings), dtype)
    vocab = settings["vocab_size"]
    tokens = torch.from_numpy(np.random.default_rng(7).integers(0, vocab, size=(2, length)))
    expected = logits(model, tokens)
    for what, changed in broken.items():
        effect = float(np.abs(logits(build(config_class, changed, model.state_dict()), tokens) - expected).max())
        print(f"{folder.name}: without {what} logits move by {effect:.3g}")
        if effect < MIN_EFFECT:
            raise SystemExit(f"{folder.name}: {what} goes untested")
    folder.mkdir(parents=True, exist_ok=True)
    model.to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    save_file({"tokens": tokens.numpy().astype(np.int64), "logits": ten_digits(expected)},
              folder / "expected.safetensors")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    for name, *rest in MODELS:
        make(out / name, *rest)


if __name__ == "__main__":
    main()
