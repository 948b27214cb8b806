#include "data/hdf5_file.h"

#include <hdf5.h>

#include <algorithm>
#include <atomic>
#include <type_traits>

#include "base/error.h"

namespace elastify {
namespace {

static_assert(std::is_same_v<hid_t, std::int64_t> && std::is_same_v<herr_t, int>, "HDF5 1.10 or later is needed");

// The library prints its error stack to stderr unless told otherwise; our own message names the file.
void silence_library() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

Hdf5Handle written(hid_t id, Hdf5Handle::Close close, const std::string& what) {
  require(id >= 0, "HDF5 could not create {}", what);
  return {id, close};
}

void check_written(herr_t status, const std::string& what) { require(status >= 0, "HDF5 could not write {}", what); }

// Equal contents must give equal bytes, so no object carries the time of its making.
Hdf5Handle timeless_properties(hid_t property_class) {
  Hdf5Handle properties = written(H5Pcreate(property_class), H5Pclose, "a property list");
  check_written(H5Pset_obj_track_times(properties.get(), 0), "a property list");
  return properties;
}

// Fixed-length text: variable-length text would leave heap offsets in the file.
void write_text(hid_t object, const std::string& name, const std::string& text) {
  const Hdf5Handle type = written(H5Tcopy(H5T_C_S1), H5Tclose, name);
  check_written(H5Tset_size(type.get(), std::max<std::size_t>(1, text.size())), name);
  check_written(H5Tset_cset(type.get(), H5T_CSET_UTF8), name);
  check_written(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), name);
  const Hdf5Handle space = written(H5Screate(H5S_SCALAR), H5Sclose, name);
  const Hdf5Handle attribute =
      written(H5Acreate2(object, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, name);
  check_written(H5Awrite(attribute.get(), type.get(), text.empty() ? "" : text.data()), name);
}

void write_scalar(hid_t file, const std::string& name, hid_t stored, hid_t native, const void* value) {
  const Hdf5Handle space = written(H5Screate(H5S_SCALAR), H5Sclose, name);
  const Hdf5Handle attribute =
      written(H5Acreate2(file, name.c_str(), stored, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, name);
  check_written(H5Awrite(attribute.get(), native, value), name);
}

// A file that lives in memory only; `bytes` is its initial image.
Hdf5Handle memory_access() {
  silence_library();
  Hdf5Handle access = written(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "a property list");
  check_written(H5Pset_fapl_core(access.get(), std::size_t{1} << 20, 0), "a property list");
  return access;
}

// Of the format's oldest version: HDF5 1.10 spoils the superblock's checksum in images of newer ones.
Hdf5Handle create_in_memory() {
  static std::atomic<int> count = 0;  // files that are open at once need names of their own, even in memory
  const std::string name = fmt::format("memory-{}.h5", ++count);
  const Hdf5Handle access = memory_access();
  const Hdf5Handle creation = timeless_properties(H5P_FILE_CREATE);
  return written(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose, "a file");
}

Hdf5Handle open_image(const std::string& path, std::string& bytes) {
  const Hdf5Handle access = memory_access();
  const bool given = !bytes.empty() && H5Pset_file_image(access.get(), bytes.data(), bytes.size()) >= 0;
  static std::atomic<int> count = 0;
  const std::string name = fmt::format("image-{}.h5", ++count);
  const hid_t file = given ? H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.get()) : -1;
  if (file < 0)
    fail_data("{} is not a whole HDF5 file ({} bytes); run the stage that writes it again", path, bytes.size());
  return {file, H5Fclose};
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape)
    text += (text.empty() ? "" : ", ") + (extent < 0 ? std::string("any") : std::to_string(extent));
  return "[" + text + "]";
}

}  // namespace

void Hdf5Handle::reset() {
  if (id_ >= 0) close_(id_);
  id_ = -1;
}

Hdf5Writer::Hdf5Writer() : file_(create_in_memory()) {}

void Hdf5Writer::dataset(const std::string& name, const torch::Tensor& values, const Hdf5Attributes& attributes) {
  const bool floats = values.scalar_type() == torch::kFloat64;
  require(values.device().is_cpu() && (floats || values.scalar_type() == torch::kInt64),
          "HDF5: {} is neither float64 nor int64 on the CPU", name);
  const torch::Tensor contiguous = values.contiguous();
  const std::vector<hsize_t> extents(values.sizes().begin(), values.sizes().end());
  const Hdf5Handle space =
      written(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose, name);
  const Hdf5Handle creation = timeless_properties(H5P_DATASET_CREATE);
  const std::size_t slash = name.find('/', 1);
  if (slash != std::string::npos && H5Lexists(file_.get(), name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) {
    const Hdf5Handle group_creation = timeless_properties(H5P_GROUP_CREATE);
    written(H5Gcreate2(file_.get(), name.substr(0, slash).c_str(), H5P_DEFAULT, group_creation.get(), H5P_DEFAULT),
            H5Gclose, name);
  }
  const Hdf5Handle set = written(H5Dcreate2(file_.get(), name.c_str(), floats ? H5T_IEEE_F64LE : H5T_STD_I64LE,
                                            space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                                 H5Dclose, name);
  check_written(H5Dwrite(set.get(), floats ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                         contiguous.data_ptr()),
                name);
  for (const auto& [key, text] : attributes) write_text(set.get(), key, text);
}

void Hdf5Writer::attribute(const std::string& name, const std::string& text) { write_text(file_.get(), name, text); }
void Hdf5Writer::attribute(const std::string& name, std::int64_t value) {
  write_scalar(file_.get(), name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}
void Hdf5Writer::attribute(const std::string& name, double value) {
  write_scalar(file_.get(), name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5Writer::save(const fs::path& path) {
  check_written(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), path.string());
  const ssize_t size = H5Fget_file_image(file_.get(), nullptr, 0);
  require(size > 0, "HDF5 could not write {}", path.string());
  std::string bytes(static_cast<std::size_t>(size), '\0');
  require(H5Fget_file_image(file_.get(), bytes.data(), bytes.size()) == size, "HDF5 could not write {}", path.string());
  write_file(path, bytes);
}

Hdf5Reader::Hdf5Reader(const fs::path& path)
    : path_(path.string()), bytes_(read_file(path)), file_(open_image(path_, bytes_)) {
  bytes_.clear();  // HDF5 has taken its own copy
  bytes_.shrink_to_fit();
}

bool Hdf5Reader::has(const std::string& name) const {
  const std::size_t slash = name.find('/', 1);
  if (slash != std::string::npos && H5Lexists(file_.get(), name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0)
    return false;
  return H5Lexists(file_.get(), name.c_str(), H5P_DEFAULT) > 0;
}

torch::Tensor Hdf5Reader::read(const std::string& name, const std::vector<std::int64_t>& shape,
                               torch::ScalarType dtype) const {
  if (!has(name)) fail_data("{}: dataset {} is missing", path_, name);
  const Hdf5Handle set(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.valid()) fail_data("{}: {} is not a readable dataset", path_, name);
  const Hdf5Handle type(H5Dget_type(set.get()), H5Tclose), space(H5Dget_space(set.get()), H5Sclose);
  const bool floats = dtype == torch::kFloat64;
  if (!type.valid() || H5Tget_class(type.get()) != (floats ? H5T_FLOAT : H5T_INTEGER)) {
    fail_data("{}: dataset {} does not hold {}", path_, name, floats ? "floating-point numbers" : "integers");
  }
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
  std::vector<hsize_t> extents(static_cast<std::size_t>(std::max(rank, 0)));
  if (rank > 0) H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
  bool fits = rank == static_cast<int>(shape.size());
  std::vector<std::int64_t> found;
  double values = 1;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    found.push_back(static_cast<std::int64_t>(std::min<hsize_t>(extents[i], std::uint64_t{1} << 62)));
    values *= static_cast<double>(extents[i]);
    fits = fits && (shape[i] < 0 || shape[i] == found.back());
  }
  if (!fits || values >= 2147483648.0)
    fail_data("{}: dataset {} has shape {}, expected {}", path_, name, shape_text(found), shape_text(shape));
  torch::Tensor tensor = torch::zeros(found, dtype);
  if (H5Dread(set.get(), floats ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT,
              tensor.data_ptr()) < 0) {
    fail_data("{}: dataset {} cannot be read; the file is damaged", path_, name);
  }
  return tensor;
}

torch::Tensor Hdf5Reader::floats(const std::string& name, const std::vector<std::int64_t>& shape) const {
  torch::Tensor tensor = read(name, shape, torch::kFloat64);
  if (!torch::isfinite(tensor).all().item<bool>())
    fail_data("{}: dataset {} holds NaN or infinite values", path_, name);
  return tensor;
}

torch::Tensor Hdf5Reader::integers(const std::string& name, const std::vector<std::int64_t>& shape) const {
  return read(name, shape, torch::kInt64);
}

Hdf5Handle Hdf5Reader::attribute(const std::string& name) const {
  const hid_t id = H5Aexists(file_.get(), name.c_str()) > 0 ? H5Aopen(file_.get(), name.c_str(), H5P_DEFAULT) : -1;
  if (id < 0) fail_data("{}: attribute {} is missing", path_, name);
  return {id, H5Aclose};
}

std::string Hdf5Reader::text(const std::string& name) const {
  const Hdf5Handle found = attribute(name);
  const Hdf5Handle type(H5Aget_type(found.get()), H5Tclose), space(H5Aget_space(found.get()), H5Sclose);
  const bool fixed = type.valid() && H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0;
  const std::size_t size = fixed ? H5Tget_size(type.get()) : 0;
  if (size == 0 || size > (std::size_t{1} << 20) || !space.valid() || H5Sget_simple_extent_npoints(space.get()) != 1) {
    fail_data("{}: attribute {} is not a text of fixed length", path_, name);
  }
  std::string text(size, '\0');
  if (H5Aread(found.get(), type.get(), text.data()) < 0) fail_data("{}: attribute {} cannot be read", path_, name);
  text.resize(std::min(text.size(), text.find('\0')));
  return text;
}

namespace {

template <typename Value>
Value read_scalar(const std::string& path, const std::string& name, hid_t attribute, H5T_class_t expected,
                  hid_t native) {
  const Hdf5Handle type(H5Aget_type(attribute), H5Tclose), space(H5Aget_space(attribute), H5Sclose);
  Value value = 0;
  if (!type.valid() || H5Tget_class(type.get()) != expected || !space.valid() ||
      H5Sget_simple_extent_npoints(space.get()) != 1 || H5Aread(attribute, native, &value) < 0) {
    fail_data("{}: attribute {} is not a number of the expected kind", path, name);
  }
  return value;
}

}  // namespace

std::int64_t Hdf5Reader::integer(const std::string& name) const {
  return read_scalar<std::int64_t>(path_, name, attribute(name).get(), H5T_INTEGER, H5T_NATIVE_INT64);
}
double Hdf5Reader::number(const std::string& name) const {
  return read_scalar<double>(path_, name, attribute(name).get(), H5T_FLOAT, H5T_NATIVE_DOUBLE);
}

}  // namespace elastify
