#include "model/row_passes.h"

#include <ATen/Parallel.h>

#include "model/typed_rows.h"

namespace elastify {
namespace {

using torch::Tensor;

constexpr std::int64_t kGrain = 16;  // rows a thread takes at least

Tensor typed_like(const Tensor& t, torch::ScalarType type) { return torch::empty(t.sizes(), t.options().dtype(type)); }

const float* values_of(const Tensor& t) { return t.data_ptr<float>(); }

// cos or sin of position s; undefined tables turn nothing.
const float* angle_row(const Tensor& table, std::int64_t s) {
  return table.defined() ? table.data_ptr<float>() + s * table.size(1) : nullptr;
}

void turn(const float* from, const float* cos, const float* sin, float sign, std::int64_t width, float* to) {
  if (cos == nullptr)
    std::copy(from, from + width, to);
  else
    kernels::rotate(from, cos, sin, sign, width / 2, to);
}

}  // namespace

Tensor norm_rows(const Tensor& x, const Tensor& weight, double eps, torch::ScalarType type) {
  const std::int64_t n = x.size(1);
  const Tensor y = typed_like(x, type);
  at::parallel_for(0, x.size(0), kGrain, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer buffer(static_cast<std::size_t>(n));
    for (std::int64_t r = begin; r < end; ++r) {
      kernels::rms_norm(values_of(x) + r * n, values_of(weight), static_cast<float>(eps), n, buffer.data());
      write_row(y, r, buffer.data());
    }
  });
  return y;
}

void norm_rows_backward(const Tensor& x, const Tensor& weight, double eps, const std::vector<Tensor>& d_normed,
                        Tensor& d_x) {
  const std::int64_t n = x.size(1);
  at::parallel_for(0, x.size(0), kGrain, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer buffer, dy(static_cast<std::size_t>(n)), dx(static_cast<std::size_t>(n));
    for (std::int64_t r = begin; r < end; ++r) {
      std::fill(dy.begin(), dy.end(), 0.0f);
      for (const Tensor& part : d_normed) {
        const float* row = read_row(part, r, buffer);
        for (std::int64_t i = 0; i < n; ++i) dy[static_cast<std::size_t>(i)] += row[i];
      }
      const float* row = values_of(x) + r * n;
      const float scale = kernels::rms_norm(row, values_of(weight), static_cast<float>(eps), n, dx.data());
      kernels::rms_norm_backward(row, values_of(weight), dy.data(), scale, n, dx.data(), nullptr);
      float* sum = d_x.data_ptr<float>() + r * n;
      for (std::int64_t i = 0; i < n; ++i) sum[i] += dx[static_cast<std::size_t>(i)];
    }
  });
}

Tensor swiglu_rows(const Tensor& gate, const Tensor& up) {
  const std::int64_t n = gate.size(1);
  const Tensor y = torch::empty_like(gate);
  at::parallel_for(0, gate.size(0), kGrain, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer g, u, out(static_cast<std::size_t>(n));
    for (std::int64_t r = begin; r < end; ++r) {
      kernels::swiglu(read_row(gate, r, g), read_row(up, r, u), n, out.data());
      write_row(y, r, out.data());
    }
  });
  return y;
}

GatedGradients swiglu_rows_backward(const Tensor& gate, const Tensor& up, const Tensor& dy) {
  const std::int64_t n = gate.size(1);
  GatedGradients d{torch::empty_like(gate), torch::empty_like(up)};
  at::parallel_for(0, gate.size(0), kGrain, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer g, u, grad, dg(static_cast<std::size_t>(n)), du(static_cast<std::size_t>(n));
    for (std::int64_t r = begin; r < end; ++r) {
      kernels::swiglu_backward(read_row(gate, r, g), read_row(up, r, u), read_row(dy, r, grad), n, dg.data(),
                               du.data());
      write_row(d.gate, r, dg.data());
      write_row(d.up, r, du.data());
    }
  });
  return d;
}

Tensor rows_to_heads(const Tensor& rows, const Tensor& bias, std::int64_t batch, std::int64_t head_dim,
                     const Tensor& cos, const Tensor& sin) {
  const std::int64_t seq = rows.size(0) / batch, n = rows.size(1), heads = n / head_dim;
  const Tensor out = torch::empty({batch, heads, seq, head_dim}, rows.options());
  at::parallel_for(0, batch * seq, kGrain, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer buffer, biased(static_cast<std::size_t>(n)), turned(static_cast<std::size_t>(head_dim));
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t b = r / seq, s = r % seq;
      const float* from = read_row(rows, r, buffer);
      if (bias.defined()) {
        for (std::int64_t i = 0; i < n; ++i) biased[static_cast<std::size_t>(i)] = from[i] + values_of(bias)[i];
        from = biased.data();
      }
      for (std::int64_t h = 0; h < heads; ++h) {
        turn(from + h * head_dim, angle_row(cos, s), angle_row(sin, s), 1, head_dim, turned.data());
        write_row(out, (b * heads + h) * seq + s, turned.data());
      }
    }
  });
  return out;
}

Tensor heads_to_rows(const Tensor& heads, const Tensor& cos, const Tensor& sin, torch::ScalarType type) {
  const std::int64_t batch = heads.size(0), count = heads.size(1), seq = heads.size(2), width = heads.size(3);
  const Tensor out = torch::empty({batch * seq, count * width}, heads.options().dtype(type));
  at::parallel_for(0, batch * seq, kGrain, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer buffer, row(static_cast<std::size_t>(count * width));
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t b = r / seq, s = r % seq;
      for (std::int64_t h = 0; h < count; ++h) {
        const float* from = read_row(heads, (b * count + h) * seq + s, buffer);
        turn(from, angle_row(cos, s), angle_row(sin, s), -1, width, row.data() + h * width);
      }
      write_row(out, r, row.data());
    }
  });
  return out;
}

Tensor add_rows(const Tensor& x, const Tensor& y, const Tensor& bias) {
  const std::int64_t n = x.size(1);
  const Tensor sum = torch::empty_like(x);
  at::parallel_for(0, x.size(0), kGrain, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer buffer;
    for (std::int64_t r = begin; r < end; ++r) {
      const float *a = values_of(x) + r * n, *b = read_row(y, r, buffer);
      float* out = sum.data_ptr<float>() + r * n;
      for (std::int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
      if (!bias.defined()) continue;
      for (std::int64_t i = 0; i < n; ++i) out[i] += values_of(bias)[i];
    }
  });
  return sum;
}

void merge_rows(const Tensor& w, const Tensor& delta, double s, Tensor to) {
  const std::int64_t n = w.size(1);
  const auto scale = static_cast<float>(s);
  at::parallel_for(0, w.size(0), kGrain, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer buffer, sum(static_cast<std::size_t>(n));
    for (std::int64_t r = begin; r < end; ++r) {
      const float* from = values_of(w) + r * w.stride(0);
      if (delta.defined()) {
        const float* change = read_row(delta, r, buffer);
        for (std::int64_t i = 0; i < n; ++i) sum[static_cast<std::size_t>(i)] = from[i] + scale * change[i];
        from = sum.data();
      }
      if (to.scalar_type() == torch::kFloat32)
        std::copy(from, from + n, to.data_ptr<float>() + r * to.stride(0));
      else
        kernels::round_to_bfloat16(from, n, half_row(to, r, to.stride(0)));
    }
  });
}

}  // namespace elastify
