// Exact leave-one-out loss: the oracle that importance estimates are measured against.
#pragma once

#include <vector>

#include "data/dataset.h"
#include "model/decoder.h"
#include "profile/resume.h"

namespace elastify {

struct UnitRef {
  std::int64_t layer = 0;
  UnitKind kind = UnitKind::kNeuron;
  std::int64_t index = 0;
  bool operator==(const UnitRef&) const = default;
};

// Every unit, layer by layer, KV groups before neurons.
std::vector<UnitRef> all_units(const ModelConfig& config);

struct AblationResult {
  std::vector<double> loss_change;  // in the order of the units; nats per token, positive where removal hurts
  double base_loss = 0;             // nats per token
  std::int64_t tokens = 0;          // predictions that count
};

// The mean loss over `rows` without each unit, minus the mean loss with all. A unit is removed by zeroing its
// activations where they enter o_proj or down_proj, which equals zeroing its weights there. The layers below a unit are
// computed once a row; several units go through the layers above as one batch. Progress is kept row by row. Throws
// Error(kBadData) if a loss is not finite, Error(kInternal) on units that the model does not have.
AblationResult ablate_units(const Decoder& decoder, const TokenRows& rows, const std::vector<UnitRef>& units,
                            const ResumePoint& resume = {});

// Floating-point operations of ablate_units with units spread evenly over the layers.
double ablation_flop(const ModelConfig& config, std::int64_t units, std::int64_t tokens);

}  // namespace elastify
