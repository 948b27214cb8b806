/* The C API of elrt. Functions are only added, and structs only grow at their end: a program that was compiled with an
 * older header of this API version runs with a newer library.
 *
 * Structs. Every struct that a caller allocates begins with its size. ELRT_INIT(&options) sets it, and all else to
 * zero, which means each field's default. What is after struct_size counts as zero, so that a caller may know fewer
 * fields than the library; a larger struct, of a newer header, is taken where its unknown fields are zero, and refused
 * else. In a result the library fills the fields that both know, and zeroes what only the caller knows.
 *
 * Ownership. elrt_engine_open, elrt_session_create, elrt_chat_create, elrt_scheduler_open, elrt_service_open and
 * elrt_tokenize give objects that the caller releases with the matching elrt_engine_close, elrt_session_destroy,
 * elrt_chat_destroy, elrt_scheduler_close, elrt_service_close and elrt_tokens_free; releasing NULL does nothing. A
 * session, chat or service keeps what it needs of its engine alive, so the two may be released in any order. Text that
 * functions give out belongs to the library unless said otherwise; text and arrays that they take are read before they
 * return.
 *
 * Errors. Functions return a status; for anything but ELRT_OK, elrt_last_error() says what failed, in one line, until
 * the same thread's next failing call. Output arguments are then unchanged.
 *
 * Threads. An engine may be used from several threads; a session, chat, scheduler or service from one at a time.
 */
#ifndef ELRT_ELRT_H_
#define ELRT_ELRT_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "elrt/export.h"
#include "elrt/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a program has to be changed; ELRT_VERSION (elrt/version.h) with every release. */
#define ELRT_API_VERSION 2

/* Sets the struct that `pointer` points to to its defaults. */
#define ELRT_INIT(pointer) \
  (memset((pointer), 0, sizeof(*(pointer))), (void)((pointer)->struct_size = sizeof(*(pointer))))

typedef enum elrt_status {
  ELRT_OK = 0,
  ELRT_INTERNAL = 1,         /* a bug, out of memory, a failed system call */
  ELRT_INVALID_ARGUMENT = 2, /* the caller asked for something impossible */
  ELRT_BAD_DATA = 3,         /* the artifact or text is damaged or foreign */
  ELRT_CANCELLED = 4         /* the caller's own callback stopped a call that has no result to give yet */
} elrt_status;

typedef struct elrt_engine elrt_engine;   /* a mapped artifact with its tokenizer */
typedef struct elrt_session elrt_session; /* a text being read and written at one level */

typedef struct elrt_chat elrt_chat; /* a conversation in the model's own chat template (elrt/chat.hpp) */

typedef struct elrt_scheduler elrt_scheduler; /* this device's latency table, from which decisions follow */

typedef struct elrt_service elrt_service; /* answers requests under objectives: decision, compression, generation */

typedef enum elrt_cache_policy {
  ELRT_CACHE_RECOMPUTE = 0, /* the text is read again at the new level: exact */
  ELRT_CACHE_REUSE = 1      /* going down only: kept groups' keys and values stay */
} elrt_cache_policy;

/* How keys and values are cached: 4 bytes a value, 2, or 1 and a scale of 2 for each 32. */
typedef enum elrt_kv_type { ELRT_KV_F32 = 0, ELRT_KV_F16 = 1, ELRT_KV_Q8_0 = 2 } elrt_kv_type;

/* Tells how much of a prompt (of `total` tokens) has been read; called before each batch of tokens, from 0 on. Zero
 * ends the call: the session then holds no part of the prompt. */
typedef int (*elrt_prompt_callback)(uint32_t read, uint32_t total, void* user_data);

/* Receives `bytes` bytes of whole UTF-8 characters, not NUL-terminated; zero ends the generation. */
typedef int (*elrt_text_callback)(const char* text, size_t bytes, void* user_data);

/* `done` grows to 1; zero stops. */
typedef int (*elrt_progress_callback)(double done, void* user_data);

typedef struct elrt_tokenize_options {
  size_t struct_size;
  int parse_special; /* nonzero: special tokens' names in the text become those tokens; for a template's own text, never
                        for a stranger's */
  int no_begin;      /* nonzero: without the beginning-of-text token, for what continues a text */
} elrt_tokenize_options;

typedef struct elrt_session_options {
  size_t struct_size;
  uint32_t level;          /* percent; default 100 */
  uint32_t threads;        /* default: one per core */
  uint32_t context_tokens; /* default: the model's */
  elrt_kv_type kv_type;    /* default: ELRT_KV_F32 */
  uint32_t batch_tokens;   /* tokens of a prompt that are read at once; default: by the model's width */
} elrt_session_options;

/* Defaults: greedy, no filter. */
typedef struct elrt_generate_options {
  size_t struct_size;
  uint32_t max_tokens; /* default 128 */
  float temperature;   /* 0: greedy */
  uint32_t top_k;      /* 0: all */
  float top_p;         /* 0: as 1, all */
  float min_p;
  uint64_t seed;
  const char* const* stop; /* stop_count NUL-terminated strings */
  size_t stop_count;
  uint32_t draft_level;  /* a smaller level guesses ahead where that is faster; the text stays the same. 0: none */
  uint32_t draft_tokens; /* guesses in a row at most, up to 32; default 6 */
  int keep_context;      /* nonzero: the prompt continues what the session has read and written; else it starts a new
                            text. Not for elrt_answer */
  int parse_special;     /* as in elrt_tokenize_options, of the prompt */
  int ignore_end;        /* nonzero: goes on after the model's own end of text */
  elrt_prompt_callback on_prompt; /* may be NULL; gets the call's user_data */
  uint32_t decode_level; /* tokens after the first are made at this level, over what the session's (at least as large)
                            wrote to the cache; 0: the session's. elrt_answer chooses it itself */
} elrt_generate_options;

typedef enum elrt_finish_reason {
  ELRT_FINISH_END_OF_TEXT = 0,  /* the model ended it */
  ELRT_FINISH_STOP_STRING = 1,  /* one of `stop` */
  ELRT_FINISH_MAX_TOKENS = 2,   /* max_tokens */
  ELRT_FINISH_CONTEXT_FULL = 3, /* nothing more fits the context */
  ELRT_FINISH_CANCELLED = 4     /* on_text or on_prompt returned zero */
} elrt_finish_reason;

typedef struct elrt_generate_result {
  size_t struct_size;
  elrt_finish_reason finish;
  uint32_t prompt_tokens;
  uint32_t generated_tokens;
  double ttft_ms;                           /* time to the first token */
  double tpot_ms;                           /* mean time of each further token */
  uint32_t drafted_tokens, accepted_tokens; /* guesses of the draft level, and those that were right */
} elrt_generate_result;

typedef struct elrt_calibrate_options {
  size_t struct_size;
  uint32_t threads;        /* default: one per core; those of the sessions that will use the table */
  elrt_kv_type kv_type;    /* default: ELRT_KV_F32; that of those sessions */
  uint32_t repeats;        /* measurements per value; default 5 */
  uint32_t max_tokens;     /* the longest length; default: 4096, or the model's context */
  const uint32_t* lengths; /* length_count of them, ascending, at least 2; NULL: powers of two up to max_tokens */
  size_t length_count;
} elrt_calibrate_options;

typedef enum elrt_slo_unit {
  ELRT_SLO_RATIO = 0, /* of the full model's latency: above 0, at most 1 */
  ELRT_SLO_MILLISECONDS = 1
} elrt_slo_unit;

typedef enum elrt_fallback {
  ELRT_FALLBACK_BEST = 0,  /* the feasible decision that is expected to be right most often; where nothing is known, the
                              longest prompt, then the largest level */
  ELRT_FALLBACK_RANDOM = 1 /* any feasible decision */
} elrt_fallback;

typedef struct elrt_scheduler_options {
  size_t struct_size;
  elrt_fallback fallback;
  uint64_t seed; /* of ELRT_FALLBACK_RANDOM */
  double margin; /* predictions grow by this share before they are held against an objective: 0..1 */
  int phases;    /* nonzero: decisions may write at a smaller level than they read (elrt_choice.decode_level), and the
                    caller does so with elrt_generate_options.decode_level; 0: one level for both */
} elrt_scheduler_options;

/* A request and its service-level objective. */
typedef struct elrt_request {
  size_t struct_size;
  uint32_t prompt_tokens; /* as elrt_tokenize counts */
  uint32_t output_tokens; /* at most so many will be generated; of 1, tpot does not bind */
  elrt_slo_unit unit;     /* of ttft and tpot */
  double ttft;            /* time to the first token */
  double tpot;            /* time of each further token */
} elrt_request;

typedef enum elrt_decision_source {
  ELRT_DECISION_PROPOSED = 0, /* by the tiny language model */
  ELRT_DECISION_FALLBACK = 1, /* another feasible decision */
  ELRT_DECISION_FASTEST = 2,  /* nothing meets the objective */
  ELRT_DECISION_FULL = 3      /* the full model reads the whole prompt and meets it */
} elrt_decision_source;

typedef struct elrt_choice {
  size_t struct_size;
  uint32_t level;        /* reads the prompt; for elrt_session_set_level */
  uint32_t prompt_level; /* percent of the prompt's words to keep; 100 without a compressor */
  elrt_decision_source source;
  int feasible; /* 0: no decision meets the objective, this one comes closest */
  double predicted_ttft_ms, predicted_tpot_ms;
  double limit_ttft_ms, limit_tpot_ms; /* the objective in milliseconds */
  uint32_t decode_level;               /* makes the tokens after the first; at most `level` */
} elrt_choice;

typedef struct elrt_service_options {
  size_t struct_size;
  uint32_t threads;        /* default: one per core; the table's */
  uint32_t context_tokens; /* default: the model's */
  elrt_kv_type kv_type;    /* default: ELRT_KV_F32; the table's */
  elrt_fallback fallback;
  uint64_t seed;  /* of ELRT_FALLBACK_RANDOM */
  double margin;  /* as in elrt_scheduler_options */
  int no_tlm;     /* nonzero: only the level is chosen, whatever the artifact has */
  int fixed_pace; /* nonzero: by the table alone; else predictions follow how the device keeps up with it */
  int one_level;  /* nonzero: the level that reads a prompt writes its answer too; else that may be a smaller one */
} elrt_service_options;

/* A service-level objective and what compression must spare. */
typedef struct elrt_objective {
  size_t struct_size;
  elrt_slo_unit unit;
  double ttft, tpot;
  size_t question_bytes; /* at the prompt's end, never shortened; 0: the prompt's last line */
  int keep_numbers;      /* nonzero: words with digits stay */
} elrt_objective;

/* How a request was answered, besides its elrt_choice and elrt_generate_result. */
typedef struct elrt_answer_result {
  size_t struct_size;
  elrt_choice* choice;              /* the caller's, may be NULL: filled where it is given */
  elrt_generate_result* generation; /* likewise; measured, ttft_ms holds the decision and the compression */
  size_t prompt_words, prompt_words_kept;
  double tlm_ms; /* of ttft_ms, spent on decision and compression */
  int slo_met;
} elrt_answer_result;

typedef struct elrt_chat_options {
  size_t struct_size;
  const char* tools;     /* a JSON list of functions that the model may call; NULL: none */
  const char* variables; /* a JSON object of further variables of the template; NULL: none */
} elrt_chat_options;

/* What an answer took, besides its elrt_generate_result, whose prompt_tokens are those that were read for it. */
typedef struct elrt_chat_result {
  size_t struct_size;
  elrt_generate_result* generation; /* the caller's, may be NULL: filled where it is given */
  uint32_t prompt_tokens;           /* of the whole conversation */
  uint32_t cached_tokens;           /* of them, those that had been read before */
} elrt_chat_result;

/* Of the library that runs: compare with ELRT_VERSION, ELRT_VERSION_NUMBER and ELRT_API_VERSION. */
ELRT_API const char* elrt_version(void);
ELRT_API uint32_t elrt_version_number(void);
ELRT_API uint32_t elrt_api_version(void);

/* The calling thread's last failure; "" before the first. */
ELRT_API const char* elrt_last_error(void);

ELRT_API elrt_status elrt_engine_open(const char* path, elrt_engine** engine);
ELRT_API void elrt_engine_close(elrt_engine* engine);
ELRT_API size_t elrt_engine_level_count(const elrt_engine* engine);
ELRT_API uint32_t elrt_engine_level(const elrt_engine* engine,
                                    size_t index); /* percent, ascending; 0 if there is none */
ELRT_API uint32_t elrt_engine_vocab_size(const elrt_engine* engine);
/* Compares every tensor with its checksum: reads the whole file. ELRT_BAD_DATA names the first that differs. */
ELRT_API elrt_status elrt_engine_verify(const elrt_engine* engine);

/* With the beginning-of-text token where the model uses one. `options` may be NULL. */
ELRT_API elrt_status elrt_tokenize(const elrt_engine* engine, const char* text, size_t bytes,
                                   const elrt_tokenize_options* options, int32_t** tokens, size_t* count);
ELRT_API void elrt_tokens_free(int32_t* tokens);
/* Writes at most `capacity` bytes (`buffer` may be NULL if 0) and always sets *bytes to the text's full length; the
 * text is not NUL-terminated. */
ELRT_API elrt_status elrt_detokenize(const elrt_engine* engine, const int32_t* tokens, size_t count, char* buffer,
                                     size_t capacity, size_t* bytes);

/* `options` may be NULL: all defaults. */
ELRT_API elrt_status elrt_session_create(const elrt_engine* engine, const elrt_session_options* options,
                                         elrt_session** session);
ELRT_API void elrt_session_destroy(elrt_session* session);
ELRT_API elrt_status elrt_session_set_level(elrt_session* session, uint32_t level, elrt_cache_policy policy);
ELRT_API uint32_t elrt_session_level(const elrt_session* session);
ELRT_API void elrt_session_reset(elrt_session* session);
/* Gives memory that the session's level does not use back to the system: pages of the artifact (read again when they
 * are wanted) and cache. Returns the bytes of the artifact's. */
ELRT_API uint64_t elrt_session_reclaim(elrt_session* session);
/* What one more token adds to the cache at the session's level. */
ELRT_API uint64_t elrt_session_cache_bytes_per_token(const elrt_session* session);

/* `options`, `on_text` and `result` may be NULL. The beginning-of-text token stands once, where the text begins. A call
 * that on_prompt or on_text ended returns ELRT_OK with ELRT_FINISH_CANCELLED. */
ELRT_API elrt_status elrt_generate(elrt_session* session, const char* prompt, size_t prompt_bytes,
                                   const elrt_generate_options* options, elrt_text_callback on_text, void* user_data,
                                   elrt_generate_result* result);

/* A conversation with a session of its own. `session` and `options` may be NULL. ELRT_BAD_DATA where the artifact has
 * no chat template, or one that cannot be used. */
ELRT_API elrt_status elrt_chat_create(const elrt_engine* engine, const elrt_session_options* session,
                                      const elrt_chat_options* options, elrt_chat** chat);
ELRT_API void elrt_chat_destroy(elrt_chat* chat);
/* Adds what was said before: `role` is system (first), user, assistant or what else the template knows. Nothing is read
 * yet. Names of control tokens within a message are text like any other. */
ELRT_API elrt_status elrt_chat_add(elrt_chat* chat, const char* role, const char* content, size_t bytes);
/* Adds a user's message and answers it, reading only what is new; the answer becomes part of the conversation. With
 * `text` NULL the messages so far are answered. Where there is no answer, the message is taken back. `options`,
 * `on_text` and `result` may be NULL. */
ELRT_API elrt_status elrt_chat_answer(elrt_chat* chat, const char* text, size_t bytes,
                                      const elrt_generate_options* options, elrt_text_callback on_text, void* user_data,
                                      elrt_chat_result* result);
ELRT_API elrt_status elrt_chat_set_level(elrt_chat* chat, uint32_t level, elrt_cache_policy policy);
ELRT_API void elrt_chat_clear(elrt_chat* chat, int keep_system); /* begins again */

/* Mean loss in nats per token over `predictions` tokens (may be NULL), in windows of the session's context. */
ELRT_API elrt_status elrt_score(elrt_session* session, const char* text, size_t bytes, double* nll,
                                uint64_t* predictions);

/* Measures this device and writes the table to `table_path`; NULL: next to the artifact, NAME.latency.json. Takes
 * seconds to minutes. `options` and `on_progress` may be NULL; ELRT_CANCELLED where on_progress stopped it. */
ELRT_API elrt_status elrt_calibrate(const elrt_engine* engine, const elrt_calibrate_options* options,
                                    const char* table_path, elrt_progress_callback on_progress, void* user_data);

/* Reads the table of `engine`'s artifact, which must have been measured on this device with the session's threads
 * and kv_type. `table_path` as above; `options` may be NULL. The scheduler needs neither engine nor session
 * afterwards. */
ELRT_API elrt_status elrt_scheduler_open(const elrt_engine* engine, const elrt_session* session, const char* table_path,
                                         const elrt_scheduler_options* options, elrt_scheduler** scheduler);
ELRT_API void elrt_scheduler_close(elrt_scheduler* scheduler);
ELRT_API elrt_status elrt_decide(elrt_scheduler* scheduler, const elrt_request* request, elrt_choice* choice);

/* `table_path` as above; `options` may be NULL. The table must have been measured on this device with the options'
 * threads and kv_type. */
ELRT_API elrt_status elrt_service_open(const elrt_engine* engine, const char* table_path,
                                       const elrt_service_options* options, elrt_service** service);
ELRT_API void elrt_service_close(elrt_service* service);
ELRT_API int elrt_service_has_tlm(const elrt_service* service); /* 0: only levels are chosen, prompts are read whole */
/* `options`, `on_text` and `result` may be NULL. */
ELRT_API elrt_status elrt_answer(elrt_service* service, const char* prompt, size_t prompt_bytes,
                                 const elrt_objective* objective, const elrt_generate_options* options,
                                 elrt_text_callback on_text, void* user_data, elrt_answer_result* result);

#ifdef __cplusplus
}
#endif

#endif /* ELRT_ELRT_H_ */
