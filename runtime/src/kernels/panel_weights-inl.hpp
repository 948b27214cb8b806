// Where the panel kernels take their weights from: the file's Q8_0, Q4_0 and IQ4_NL panels (format.h, LAYOUT), or
// panels that prepare() unpacked so that many tokens share the work. Included once per target after byte_dot-inl.hpp.
//
// Dot multiplies them. load(vector, group, w) gives the weight bytes of one vector of outputs and of the two input
// groups group_of(group, 0) and group_of(group, 1), as Dot takes them: `group` of 0 to 3 in turn are the panel's bytes
// in ascending order. scales(vector) gives that vector's scales. `vector` counts vectors of outputs within the panel.

using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;

HWY_INLINE std::size_t lanes() { return hn::Lanes(DI()); }

constexpr std::size_t kGroupBytes = format::kPanelOutputs * 4;  // a group of four inputs of all outputs

HWY_INLINE VI load_bytes(const std::uint8_t* p) { return hn::LoadU(DI(), reinterpret_cast<const std::int32_t*>(p)); }
HWY_INLINE VI low_halves(VI bytes) { return hn::And(bytes, hn::Set(DI(), 0x0F0F0F0F)); }
HWY_INLINE VI high_halves(VI bytes) {
  const hn::RebindToUnsigned<DI> du;
  return low_halves(hn::BitCast(DI(), hn::ShiftRight<4>(hn::BitCast(du, bytes))));
}

HWY_INLINE VF load_scales(const std::uint8_t* panel, std::size_t vector) {
  const auto* halves = reinterpret_cast<const hwy::float16_t*>(panel) + vector * lanes();
  const VF scales = hn::PromoteTo(DF(), hn::LoadU(hn::Rebind<hwy::float16_t, DF>(), halves));
#if HWY_TARGET <= HWY_AVX2 || HWY_ARCH_ARM_A64
  return scales;
#else
  // Highway's arithmetic in place of the instruction takes infinities and NaN for numbers from 65536 on, which would
  // make a plausible number of a spoilt file.
  return hn::IfThenElse(hn::Lt(hn::Abs(scales), hn::Set(DF(), 65536.0f)), scales,
                        hn::Set(DF(), std::numeric_limits<float>::quiet_NaN()));
#endif
}

// The file has q + 128.
HWY_INLINE VI from_stored(VI bytes) {
  if constexpr (ByteDot::kOffset == 128)
    return bytes;
  else
    return hn::Xor(bytes, hn::Set(DI(), static_cast<std::int32_t>(0x80808080u)));
}

// Of so many outputs.
template <std::size_t Outputs>
struct Q8PanelOf {
  using Dot = ByteDot;
  const std::uint8_t* data;

  static HWY_INLINE std::int32_t start(const BlockFactors& factors) {
    return Dot::kOffset == 0 ? 0 : factors.minus_128_sum;
  }
  HWY_INLINE VF scales(std::size_t vector) const { return load_scales(data, vector); }
  HWY_INLINE void load(std::size_t vector, std::size_t group, VI (&w)[2]) const {
    const std::uint8_t* p = data + 2 * Outputs + vector * 4 * lanes();
    w[0] = from_stored(load_bytes(p + group_of(group, 0) * 4 * Outputs));
    w[1] = from_stored(load_bytes(p + group_of(group, 1) * 4 * Outputs));
  }
  static HWY_INLINE std::size_t group_of(std::size_t group, std::size_t half) { return 2 * group + half; }
};
using Q8Panel = Q8PanelOf<format::kPanelOutputs>;

struct Q4Panel {
  using Dot = NibbleDot;
  const std::uint8_t* data;

  static HWY_INLINE std::int32_t start(const BlockFactors& factors) { return factors.minus_8_sum; }
  HWY_INLINE VF scales(std::size_t vector) const { return load_scales(data, vector); }
  HWY_INLINE void load(std::size_t vector, std::size_t group, VI (&w)[2]) const {
    const VI bytes = load_bytes(data + format::kPanelScaleBytes + group * kGroupBytes + vector * 4 * lanes());
    w[0] = low_halves(bytes);
    w[1] = high_halves(bytes);
  }
  static HWY_INLINE std::size_t group_of(std::size_t group, std::size_t half) { return group + 4 * half; }
};

// The codebook's bytes as ByteDot takes them.
struct Iq4Table {
  alignas(16) std::uint8_t bytes[16];
  constexpr Iq4Table() : bytes() {
    for (int i = 0; i < 16; ++i) bytes[i] = static_cast<std::uint8_t>(format::kIq4Codebook[i] + ByteDot::kOffset);
  }
};
constexpr Iq4Table kIq4Table;

HWY_INLINE VI iq4_weights(VI indices) {
#if HWY_TARGET == HWY_SCALAR
  std::uint8_t bytes[4];
  const std::int32_t lane = hn::GetLane(indices);
  std::memcpy(bytes, &lane, sizeof(bytes));
  for (std::uint8_t& byte : bytes) byte = kIq4Table.bytes[byte];
  std::int32_t found;
  std::memcpy(&found, bytes, sizeof(found));
  return hn::Set(DI(), found);
#else
  const hn::Repartition<std::uint8_t, DI> bytes;
  return hn::BitCast(DI(), hn::TableLookupBytes(hn::LoadDup128(bytes, kIq4Table.bytes), hn::BitCast(bytes, indices)));
#endif
}

struct Iq4Panel {
  using Dot = ByteDot;
  const std::uint8_t* data;

  static HWY_INLINE std::int32_t start(const BlockFactors& factors) { return Q8Panel::start(factors); }
  HWY_INLINE VF scales(std::size_t vector) const { return load_scales(data, vector); }
  HWY_INLINE void load(std::size_t vector, std::size_t group, VI (&w)[2]) const {
    Q4Panel{data}.load(vector, group, w);
    w[0] = iq4_weights(w[0]);
    w[1] = iq4_weights(w[1]);
  }
  static HWY_INLINE std::size_t group_of(std::size_t group, std::size_t half) { return Q4Panel::group_of(group, half); }
};

// A panel of type File, unpacked: float scales and [group][output][4] bytes.
template <typename File>
struct PreparedPanel {
  using Dot = typename File::Dot;
  struct alignas(64) Storage {
    float scales[format::kPanelOutputs];
    std::uint8_t bytes[8 * kGroupBytes];
  };
  const Storage* data;

  static HWY_INLINE std::int32_t start(const BlockFactors& factors) { return File::start(factors); }
  HWY_INLINE VF scales(std::size_t vector) const { return hn::Load(DF(), data->scales + vector * lanes()); }
  HWY_INLINE void load(std::size_t vector, std::size_t group, VI (&w)[2]) const {
    const std::uint8_t* p = data->bytes + vector * 4 * lanes();
    w[0] = load_bytes(p + group_of(group, 0) * kGroupBytes);
    w[1] = load_bytes(p + group_of(group, 1) * kGroupBytes);
  }
  static HWY_INLINE std::size_t group_of(std::size_t group, std::size_t half) { return File::group_of(group, half); }
};

template <typename File>
HWY_INLINE void prepare(File file, typename PreparedPanel<File>::Storage& out) {
  for (std::size_t vector = 0; vector < format::kPanelOutputs / lanes(); ++vector) {
    hn::Store(file.scales(vector), DF(), out.scales + vector * lanes());
    for (std::size_t group = 0; group < 4; ++group) {
      VI w[2];
      file.load(vector, group, w);
      std::uint8_t* p = out.bytes + vector * 4 * lanes();
      hn::StoreU(w[0], DI(), reinterpret_cast<std::int32_t*>(p + File::group_of(group, 0) * kGroupBytes));
      hn::StoreU(w[1], DI(), reinterpret_cast<std::int32_t*>(p + File::group_of(group, 1) * kGroupBytes));
    }
  }
}
