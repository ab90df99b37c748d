// SPDX-License-Identifier: BSD-3-Clause
// Headers of plan files: what is read of JSON, and what is refused before any kernel runs.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "../c/json.h"
#include "../c/nervure.h"
#include "../c/reading.h"
#include "../c/rules.h"
#include "../execution/executor.h"
#include "../kernels/list.h"
#include "check.h"

namespace {

using namespace nervure;
using c::parse_json;

template <class Call>
std::string refused(Call&& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}
bool bad_json(const std::string& text) {
  return !refused([&] { parse_json(text); }).empty();
}

void test_json() {
  const c::Json found =
      parse_json(R"( {"b": [1, -2, "x\"\u00e4\ud83d\ude00\n"], "a": {}, "c": []} )");
  const auto& list = found.at("b").list("b");
  CHECK(list.size() == 3 && list[0].integer("") == 1 && list[1].integer("") == -2);
  CHECK(list[2].text("") == "x\"\xc3\xa4\xf0\x9f\x98\x80\n");
  CHECK(found.at("a").table("a").empty() && found.at("c").list("c").empty());
  CHECK(refused([&] { (void)found.at("d"); }) == "'d' is missing");
  CHECK(refused([&] { (void)found.at("a").list("a"); }) == "'a' is no list");
}

void test_json_that_is_none() {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[",
                           "[1",
                           "[1,",
                           "[1,]",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1,}",
                           "{1:2}",
                           "\"",
                           "\"\\",
                           "\"\\u12",
                           "\"\\q\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\n\"",
                           "\"\\udc00\"",
                           "\"\n\"",
                           "1.5",
                           "1e5",
                           "-",
                           "+1",
                           "nan",
                           "true",
                           "null",
                           "1 2",
                           "9223372036854775808",
                           "{\"a\":1,\"a\":2}",
                           "[1]]"})
    CHECK(bad_json(text));
  CHECK(!bad_json(std::string(16, '[') + std::string(16, ']')));
  CHECK(bad_json(std::string(18, '[') + std::string(18, ']')));
  CHECK(bad_json(std::string(100'000, '[')));
  std::string many = "[0";
  for (int64_t i = 0; i < c::most_values; ++i) many += ",0";
  CHECK(bad_json(many + "]"));
}

void test_every_kernel_has_a_rule() {
  std::vector<std::string> kernels = kernel_names(), ruled = c::ruled_kernels();
  std::ranges::sort(kernels);
  std::ranges::sort(ruled);
  CHECK(kernels == ruled);
}

// ---- a dense layer of two features and three units --------------------------------------

const std::string dense =
    R"({"format":"nervure plan","version":1,"rows":8,"work":12,"parameters":32,
"inputs":[{"node":0,"name":"x"}],"outputs":[{"node":1,"name":"y"}],
"nodes":[{"name":"x","kernel":"","values":[2],"inputs":[]},
{"name":"y","kernel":"dense","values":[3],"inputs":[0],"attributes":{"bias":1},
"input_shapes":[[2]],"shape":[3],"spread":1,"times":[],"ports":[],
"parameters":[[0,6],[16,3]]}]})";

std::string with(std::string header, const std::string& old, const std::string& now) {
  const size_t at = header.find(old);
  CHECK(at != std::string::npos);
  return header.replace(at, old.size(), now);
}
std::string told(const std::string& header, int64_t most = 1 << 20) {
  return refused([&] { c::read_header(header, 32, most); });
}
void changed(const char* old, const char* now, const std::string& words) {
  const std::string found = told(with(dense, old, now));
  CHECK(found.find(words) != std::string::npos);
  if (found.find(words) == std::string::npos)
    std::fprintf(stderr, "  %s: '%s'\n", now, found.c_str());
}

void test_a_header() {
  c::PlanFile file = c::read_header(dense, 32, 1 << 20);
  CHECK(file.inputs[0].name == "x" && file.outputs[0].shape == Shape{3});
  CHECK(file.plan.arena >= 8 * 5 && file.plan.arena < 1000);
  std::vector<float> parameters(32);
  for (size_t i = 0; i < 6; ++i) parameters[i] = static_cast<float>(i);
  parameters[18] = 0.5F;
  Executor<float> executor(std::move(file.plan), parameters.data(), parameters.data());
  const float x[] = {1, 10};
  float y[3];
  Data<float> data;
  data.inputs.push_back({.data = x, .columns = 2});
  executor.forward(1, data, {nullptr, 0, 1}, {}, {.outputs = {y}}, 0);
  CHECK(y[0] == 30 && y[1] == 41 && y[2] == 52.5F);
}

void test_headers_that_do_not_fit() {
  changed("\"version\":1", "\"version\":2", "newer");
  changed("nervure plan", "other", "another format");
  changed("\"parameters\":32", "\"parameters\":33", "another number of parameters");
  changed("\"rows\":8", "\"rows\":0", "'rows' is too small or too large");
  changed("\"rows\":8", "\"rows\":5000", "'rows' is too small or too large");
  changed("\"node\":0", "\"node\":2", "not there");
  changed("\"node\":0", "\"node\":1", "an input that is computed");
  changed("\"kernel\":\"dense\"", "\"kernel\":\"dens\"", "node 'y': a kernel");
  changed("\"kernel\":\"dense\"", "\"kernel\":\"formula\"", "a kernel that is not known");
  changed("\"kernel\":\"dense\"", "\"kernel\":\"\"", "a node that nothing computes");
  changed("\"inputs\":[0]", "\"inputs\":[1]", "not yet");
  changed("\"inputs\":[0]", "\"inputs\":[-1]", "not there");
  changed("\"inputs\":[0]", "\"inputs\":[]", "not one shape for each input");
  changed("\"values\":[2]", "\"values\":[4]", "another size than what feeds it");
  changed("\"values\":[2]", "\"values\":[2147483647,2147483647]", "too large");
  changed("\"values\":[2]", "\"values\":[2000000000]", "too large");
  changed("\"values\":[2]", "\"values\":[0]", "not positive");
  changed("\"values\":[3]", "\"values\":[4]", "another size than its values");
  changed("\"shape\":[3]", "\"shape\":[4]", "another size than its values");
  changed("[[2]]", "[[1]]", "another size than what feeds it");
  changed("[0,6]", "[0,5]", "parameters of other sizes");
  changed("[16,3]", "[30,3]", "outside of the file");
  changed("[16,3]", "[-1,3]", "outside of the file");
  changed("[16,3]", "[9223372036854775807,3]", "outside of the file");
  changed("[16,3]", "[16]", "without offset and size");
  changed("{\"bias\":1}", "{}", "attribute 'bias' is missing");
  changed("{\"bias\":1}", "{\"bias\":2}", "neither 0 nor 1");
  changed("{\"bias\":1}", "{\"bias\":\"1\"}", "another type");
  changed("{\"bias\":1}", "{\"bias\":{\"float64\":\"3ff\"}}", "16 hexadecimal digits");
  const std::string alone =
      with(with(dense, "\"inputs\":[0]", "\"inputs\":[]"), "[[2]]", "[]");
  for (const std::string& kernel : kernel_names())
    if (kernel != "constant" && kernel != "learned")
      CHECK(!told(with(alone, "\"dense\"", "\"" + kernel + "\"")).empty());
  changed("\"spread\":1", "\"spread\":2", "another size");
  changed("\"times\":[]", "\"times\":[1]", "another number of sequences");
  changed("\"times\":[]", "\"times\":[0]", "open length");
  changed("\"ports\":[]", "\"ports\":[0]", "outputs that the kernel does not have");
  changed("\"name\":\"y\",\"kernel\"", "\"name\":5,\"kernel\"", "'name' is no text");
  CHECK(told(dense, 64).find("MiB of memory") != std::string::npos);
}

// Each node of a chain reads the one before it: two values are alive at a time.
void test_memory_is_shared_in_time() {
  const int count = 40;
  std::string header =
      R"({"format":"nervure plan","version":1,"rows":8,"work":1,"parameters":0,
"inputs":[{"node":0,"name":"x"}],"outputs":[{"node":)" +
      std::to_string(count) +
      R"(,"name":"y"}],"nodes":[{"name":"x","kernel":"","values":[1000],"inputs":[]})";
  for (int i = 0; i < count; ++i)
    header += R"(,{"name":"z","kernel":"add","values":[1000],"attributes":{},"inputs":[)" +
              std::to_string(i) +
              R"(],"input_shapes":[[1000]],"shape":[1000],"spread":1,"times":[],)"
              R"("ports":[],"parameters":[]})";
  const c::PlanFile file = c::read_header(header + "]}", 0, 1 << 20);
  CHECK(file.plan.nodes.size() == count + 1);
  CHECK(file.plan.arena == 2 * 8 * 1000);
}

// ---- the C interface --------------------------------------------------------------------

std::string dense_file() {
  const auto path = std::filesystem::temp_directory_path() /
                    ("nervure-" + std::to_string(::getpid()) + ".nervure");
  std::vector<float> parameters(32, 0.5F);
  const uint64_t length = dense.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), 8);
  file << dense;
  file.write(reinterpret_cast<const char*>(parameters.data()), 4 * 32);
  return path.string();
}

bool right(nervure_model* model, int64_t rows) {
  std::vector<float> x(static_cast<size_t>(2 * rows), 2), y(static_cast<size_t>(3 * rows));
  const float* inputs[] = {x.data()};
  float* outputs[] = {y.data()};
  return nervure_predict(model, rows, inputs, outputs) == 0 &&
         std::ranges::count(y, 2.5F) == 3 * rows;
}

void test_threads_with_models_of_their_own_and_one_for_all() {
  const std::string path = dense_file();
  nervure_model* shared = nullptr;
  CHECK(nervure_load(path.c_str(), &shared) == 0);
  CHECK(nervure_set_threads(shared, 2) == 0);
  std::atomic<int> wrong{0};
  const auto work = [&] {
    nervure_model* own = nullptr;
    if (nervure_load(path.c_str(), &own) != 0 || nervure_set_threads(own, 2) != 0) ++wrong;
    for (int64_t rows = 1; rows < 40; ++rows)
      if (!right(own, rows) || !right(shared, rows)) ++wrong;
    nervure_free(own);
    if (nervure_predict(nullptr, 1, nullptr, nullptr) == 0) ++wrong;
    if (std::string(nervure_error()) != "[nervure_predict] no model") ++wrong;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(std::string(nervure_error()).empty());
  nervure_free(shared);
  std::filesystem::remove(path);
}

}  // namespace

int main() {
  test_json();
  test_json_that_is_none();
  test_every_kernel_has_a_rule();
  test_a_header();
  test_headers_that_do_not_fit();
  test_memory_is_shared_in_time();
  test_threads_with_models_of_their_own_and_one_for_all();
  return check::report();
}
