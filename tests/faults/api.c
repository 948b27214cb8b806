/* The C API from end to end, for tests that let calls inside it fail. Ends with the first failure's status and message.
 */
#include <stdio.h>
#include <string.h>

#include "elrt/elrt.h"

static int failed(elrt_status status) {
  if (status == ELRT_OK) return 0;
  fprintf(stderr, "faults_api: %s\n", strlen(elrt_last_error()) > 0 ? elrt_last_error() : "NO MESSAGE");
  return 1;
}

int main(int argc, char** argv) {
  const char prompt[] = "ab cab c";
  elrt_engine* engine = NULL;
  elrt_session* session = NULL;
  elrt_scheduler* scheduler = NULL;
  elrt_service* service = NULL;
  int32_t* tokens = NULL;
  size_t count = 0, bytes = 0;
  double nll = 0;
  char text[64];
  elrt_status status = ELRT_INVALID_ARGUMENT;
  if (argc != 2) return 2;
  if (failed(status = elrt_engine_open(argv[1], &engine))) goto end;
  if (failed(status = elrt_tokenize(engine, prompt, strlen(prompt), NULL, &tokens, &count))) goto end;
  if (failed(status = elrt_detokenize(engine, tokens, count, text, sizeof(text), &bytes))) goto end;
  if (failed(status = elrt_session_create(engine, NULL, &session))) goto end;
  if (failed(status = elrt_session_set_level(session, 50, ELRT_CACHE_RECOMPUTE))) goto end;
  if (failed(status = elrt_generate(session, prompt, strlen(prompt), NULL, NULL, NULL, NULL))) goto end;
  if (failed(status = elrt_score(session, prompt, strlen(prompt), &nll, NULL))) goto end;
  if (failed(status = elrt_scheduler_open(engine, session, NULL, NULL, &scheduler))) goto end;
  if (failed(status = elrt_service_open(engine, NULL, NULL, &service))) goto end;
end:
  elrt_service_close(service);
  elrt_scheduler_close(scheduler);
  elrt_session_destroy(session);
  elrt_tokens_free(tokens);
  elrt_engine_close(engine);
  return (int)status;
}
