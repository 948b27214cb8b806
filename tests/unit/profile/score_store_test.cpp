#include "profile/score_store.h"

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "data/hdf5_file.h"
#include "support/skip.h"
#include "support/tiny_model.h"

#undef CHECK
#include <catch2/catch.hpp>

using namespace elastify;
using namespace elastify_test;

namespace {

fs::path scratch(const std::string& name) { return fs::temp_directory_path() / ("elastify_score_store_" + name); }

Profile example() {
  Profile profile;
  profile.method = "fisher";
  profile.scores = {torch::rand({2, 2}, torch::kFloat64), torch::rand({2, 48}, torch::kFloat64) - 0.5};
  profile.tokens = 1234;
  profile.seed = 0xfedcba9876543210ull;
  profile.mean_loss = 1.25;
  profile.source_hash = "0123abc";
  profile.tool_version = "0.1.0";
  profile.checked = {{0, UnitKind::kGroup, 1}, {1, UnitKind::kNeuron, 47}};
  profile.checked_change = {0.5, -0.25};
  profile.checked_tokens = 77;
  return profile;
}

bool refused(const fs::path& path, const ModelConfig& config) {
  try {
    load_profile(path, config);
    return false;
  } catch (const Error& error) {
    return error.code() == ErrorCode::kBadData && std::string(error.what()).find(path.string()) != std::string::npos;
  }
}

}  // namespace

TEST_CASE("a profile survives its file", "[profile][unit]") {
  const fs::path path = scratch("round.h5");
  const Profile saved = example();
  save_profile(path, saved);
  const Profile loaded = load_profile(path, tiny_config({}));
  CHECK(loaded.scores.groups.equal(saved.scores.groups));
  CHECK(loaded.scores.neurons.equal(saved.scores.neurons));
  CHECK(loaded.method == saved.method);
  CHECK(loaded.tokens == saved.tokens);
  CHECK(loaded.seed == saved.seed);
  CHECK(loaded.mean_loss == saved.mean_loss);
  CHECK(loaded.source_hash == saved.source_hash);
  CHECK(loaded.tool_version == saved.tool_version);
  CHECK((loaded.checked == saved.checked));  // not printed on failure: glog prints vectors, but not of UnitRef
  CHECK(loaded.checked_change == saved.checked_change);
  CHECK(loaded.checked_tokens == saved.checked_tokens);
  fs::remove(path);
}

TEST_CASE("equal profiles give equal bytes, at any time", "[profile][unit]") {
  const fs::path a = scratch("a.h5"), b = scratch("b.h5");
  const Profile profile = example();
  save_profile(a, profile);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // object times count seconds
  save_profile(b, profile);
  CHECK(read_file(a) == read_file(b));
  fs::remove(a);
  fs::remove(b);
}

TEST_CASE("layer sensitivities are sums and largest values", "[profile][unit]") {
  const UnitScores scores = {torch::tensor({1., 3.}, torch::kFloat64).view({1, 2}),
                             torch::tensor({2., -1., 4.}, torch::kFloat64).view({1, 3})};
  CHECK(layer_sensitivities(scores).equal(torch::tensor({4., 3., 5., 4.}, torch::kFloat64).view({1, 4})));
}

TEST_CASE("h5py reads values, shapes and units", "[profile][unit]") {
  std::string python;  // Debian's own, where another one comes first
  for (const char* candidate : {"python3", "/usr/bin/python3"}) {
    if (python.empty() && std::system((std::string(candidate) + " -c 'import h5py' 2>/dev/null").c_str()) == 0)
      python = candidate;
  }
  if (python.empty()) return skip_case("python3-h5py is missing");
  const fs::path path = scratch("py.h5");
  save_profile(path, example());
  const std::string script = "import h5py; f = h5py.File('" + path.string() + R"(')
neurons = f['importance/neurons']
text = lambda v: v.decode() if isinstance(v, bytes) else v
assert neurons.shape == (2, 48) and neurons.dtype == 'f8'
assert text(neurons.attrs['units']) == 'nats per token' and text(neurons.attrs['shape']) == '[layers, neurons]'
assert f['importance/kv_groups'].shape == (2, 2) and f['sensitivity/layers'].shape == (2, 4)
assert abs(neurons[...].sum(1) - f['sensitivity/layers'][:, 2]).max() < 1e-12
assert f['ablation/units'][...].tolist() == [[0, 0, 1], [1, 1, 47]] and f['ablation/loss_change'][1] == -0.25
assert text(f.attrs['method']) == 'fisher' and f.attrs['tokens'] == 1234 and text(f.attrs['tool_version']) == '0.1.0'
)";
  write_file(scratch("read.py"), script);
  CHECK(std::system((python + " " + scratch("read.py").string()).c_str()) == 0);
  fs::remove(scratch("read.py"));
  fs::remove(path);
}

TEST_CASE("h5dump reads the scores", "[profile][unit]") {
  if (std::system("command -v h5dump >/dev/null") != 0) return skip_case("h5dump is missing (package hdf5-tools)");
  const fs::path path = scratch("dump.h5");
  save_profile(path, example());
  CHECK(std::system(("h5dump -d /importance/neurons " + path.string() + " | grep -q 'nats per token'").c_str()) == 0);
  fs::remove(path);
}

TEST_CASE("missing, foreign and truncated files are refused", "[profile][unit]") {
  const fs::path path = scratch("bad.h5");
  const ModelConfig config = tiny_config({});
  fs::remove(path);
  CHECK(refused(path, config));
  write_file(path, "");
  CHECK(refused(path, config));
  write_file(path, "{\"not\": \"HDF5\"}");
  CHECK(refused(path, config));
  save_profile(path, example());
  const std::string whole = read_file(path);
  for (std::size_t bytes = 1; bytes < whole.size(); bytes += 97) {
    write_file(path, whole.substr(0, bytes));
    INFO(bytes << " of " << whole.size() << " bytes");
    CHECK(refused(path, config));
  }
  Hdf5Writer().save(path);
  CHECK(refused(path, config));
  fs::remove(path);
}

TEST_CASE("other dimensions, versions, kinds of number and NaN are refused", "[profile][unit]") {
  const fs::path path = scratch("wrong.h5");
  Profile profile = example();
  save_profile(path, profile);
  TinyShape other;
  other.layers = 3;
  CHECK(refused(path, tiny_config(other)));
  other.layers = 2, other.neurons = 64;
  CHECK(refused(path, tiny_config(other)));

  profile.scores.neurons[1][1] = std::nan("");
  save_profile(path, profile);
  CHECK(refused(path, tiny_config({})));

  profile = example();
  profile.checked[1].index = 48;
  save_profile(path, profile);
  CHECK(refused(path, tiny_config({})));

  Hdf5Writer integers;
  integers.attribute("format_version", std::int64_t{1});
  for (const char* name : {"method", "source_hash", "tool_version"}) integers.attribute(name, std::string("x"));
  for (const char* name : {"tokens", "seed"}) integers.attribute(name, std::int64_t{1});
  integers.attribute("mean_loss", 1.0);
  integers.dataset("/importance/kv_groups", torch::zeros({2, 2}, torch::kInt64), {});
  integers.dataset("/importance/neurons", torch::zeros({2, 48}, torch::kFloat64), {});
  integers.save(path);
  CHECK(refused(path, tiny_config({})));

  Hdf5Writer version;
  version.attribute("format_version", std::int64_t{2});
  version.save(path);
  CHECK(refused(path, tiny_config({})));
  fs::remove(path);
}
