#pragma once

// What the toolchain uses of LibTorch. <torch/torch.h> brings modules, data loaders and serialisation along and takes
// twice as long to compile in every file, even precompiled.
#include <torch/autograd.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>
