// The page stands alone and escapes what it shows; energy by counters of a made-up machine.
#include <catch2/catch.hpp>

#include "base/energy.h"
#include "base/html_page.h"
#include "support/temp_dir.h"

using namespace elastify;
using elastify_test::TempDir;

TEST_CASE("a page escapes texts and carries its images", "[base][unit]") {
  const TempDir dir;
  write_file(dir / "a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"><text>50% & more</text></svg>");
  HtmlPage page("<script>alert(1)</script>", "a & b");
  page.section("One");
  page.table("caption", {"name", "value"}, {{"<b>", "1"}});
  page.image(dir / "a.svg", "a \"chart\"");
  page.image(dir / "missing.svg", "not there");
  const std::string text = page.text();
  CHECK(text.find("<script>") == std::string::npos);
  CHECK(text.find("&lt;script&gt;") != std::string::npos);
  CHECK(text.find("<th scope=\"row\">&lt;b&gt;</th><td>1</td>") != std::string::npos);
  CHECK(text.find("data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22%3E") != std::string::npos);
  CHECK(text.find("50%25 %26 more") != std::string::npos);
  CHECK(text.find("alt=\"a &quot;chart&quot;\"") != std::string::npos);
  CHECK(text.find("not there") == std::string::npos);
  CHECK_THROWS(page.table("caption", {"name", "value"}, {{"one cell"}}));
}

TEST_CASE("energy is summed over packages, a counter that began again included", "[base][unit]") {
  const TempDir dir;
  const auto counter = [&](const std::string& name, const std::string& value) {
    std::filesystem::create_directories(dir / name);
    write_file(dir / name / "energy_uj", value);
    write_file(dir / name / "max_energy_range_uj", "10000000");
  };
  CHECK_FALSE(EnergyMeter(dir / "nothing").joules());
  CHECK_FALSE(EnergyMeter(dir.path()).joules());
  counter("intel-rapl:0", "1000000");
  counter("intel-rapl:1", "9000000");
  counter("intel-rapl:0:1", "5");  // a part of package 0
  const EnergyMeter meter(dir.path());
  counter("intel-rapl:0", "3500000");
  counter("intel-rapl:1", "500000");
  counter("intel-rapl:0:1", "999999");
  CHECK(meter.joules().value() == Approx(2.5 + 1.5));
}
