// The C++ API of elrt: open an Artifact, create a Session, generate or score; calibrate a device, then let a Service
// answer requests under objectives. Types are move-only handles; failures are values (result.hpp); nothing throws
// across this API.
#pragma once

#include "elrt/artifact.hpp"
#include "elrt/calibrate.hpp"
#include "elrt/compression.hpp"
#include "elrt/export.h"
#include "elrt/format.h"
#include "elrt/generator.hpp"
#include "elrt/gguf.hpp"
#include "elrt/kv_type.hpp"
#include "elrt/latency_table.hpp"
#include "elrt/mapped_files.hpp"
#include "elrt/result.hpp"
#include "elrt/sampler.hpp"
#include "elrt/scheduler.hpp"
#include "elrt/scorer.hpp"
#include "elrt/service.hpp"
#include "elrt/session.hpp"
#include "elrt/slo.hpp"
#include "elrt/speculation.hpp"
#include "elrt/tensor_type.hpp"
#include "elrt/tlm.hpp"
#include "elrt/tlm_shape.hpp"
#include "elrt/tokenizer.hpp"
#include "elrt/version.h"
#include "elrt/wordpiece.hpp"
