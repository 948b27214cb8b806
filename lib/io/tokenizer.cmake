# Tokenizer import, without LibTorch: the runtime owns the tokenizers themselves.
elastify_module(tokenizer
  SOURCES io/tokenizer_import.cpp io/tokenizer_json.cpp io/tokenizer_json_steps.cpp io/tokenizer_llama2c.cpp
          io/tokenizer_sentencepiece.cpp io/tokenizer_special.cpp
  LIBRARIES elastify::base elrt::elrt)
