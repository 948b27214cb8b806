#include "checkpoint/hf_reader.h"

#include <fmt/ranges.h>

namespace elastify {
namespace {

// Keys that are read elsewhere (the tokenizer's ids) or say nothing about what a model computes.
constexpr const char* kWithoutEffect[] = {"architectures",
                                          "_name_or_path",
                                          "_model_name_or_path",
                                          "transformers_version",
                                          "bos_token_id",
                                          "eos_token_id",
                                          "pad_token_id",
                                          "unk_token_id",
                                          "use_cache",
                                          "initializer_range",
                                          "attention_dropout",
                                          "hidden_dropout",
                                          "classifier_activation",
                                          "classifier_dropout",
                                          "pretraining_tp",
                                          "torchscript",
                                          "torch_dtype",
                                          "dtype",
                                          "output_attentions",
                                          "output_hidden_states",
                                          "return_dict",
                                          "id2label",
                                          "label2id",
                                          "_attn_implementation",
                                          "_attn_implementation_autoset",
                                          "about"};

}  // namespace

std::string unread_note(const HfReader& reader) {
  for (const char* key : kWithoutEffect) reader.has(key);
  const auto unread = reader.unread();
  if (unread.empty()) return "";
  const char* them = unread.size() == 1 ? "it" : "them";
  return fmt::format(
      "{}: ignored, because nothing here reads {}: {}; if the model's computation depends on {}, it is "
      "another model",
      reader.source(), them, fmt::join(unread, ", "), them);
}

}  // namespace elastify
