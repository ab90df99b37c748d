// SPDX-License-Identifier: BSD-3-Clause
// Loads each plan file of a folder and runs three rows through it, for the sanitizers: what
// ends is sound, whether it was an answer or an error.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "../../engine/c/nervure.h"

namespace {

constexpr int64_t rows = 3, most_bytes = int64_t{32} << 20;

std::vector<float> numbers(int64_t size) {
  std::vector<float> found(static_cast<size_t>(rows * size));
  for (size_t i = 0; i < found.size(); ++i)
    found[i] = static_cast<float>(static_cast<int64_t>(i * 37 % 97) - 40) / 8;
  found.back() = std::numeric_limits<float>::quiet_NaN();
  found.front() = std::numeric_limits<float>::infinity();
  return found;
}

bool answers(nervure_model* model) {
  std::vector<std::vector<float>> arrays;
  std::vector<const float*> inputs;
  std::vector<float*> outputs;
  arrays.reserve(nervure_inputs(model) + nervure_outputs(model));
  for (size_t i = 0; i < nervure_inputs(model); ++i) {
    arrays.push_back(numbers(nervure_input_size(model, i)));
    inputs.push_back(arrays.back().data());
  }
  for (size_t i = 0; i < nervure_outputs(model); ++i) {
    arrays.push_back(numbers(nervure_output_size(model, i)));
    outputs.push_back(arrays.back().data());
  }
  return nervure_predict(model, rows, inputs.data(), outputs.data()) == 0;
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) return 2;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(words[1]))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  int loaded = 0, answered = 0;
  for (const auto& path : files) {
    std::fprintf(stderr, "%s\r", path.filename().c_str());  // the last one, if this dies
    nervure_model* model = nullptr;
    if (nervure_load_within(path.c_str(), most_bytes, &model) != 0) continue;
    ++loaded;
    nervure_set_threads(model, loaded % 2 + 1);
    answered += answers(model);
    nervure_free(model);
  }
  std::printf("%zu files, %d loaded, %d answered\n", files.size(), loaded, answered);
  return files.empty() ? 2 : 0;
}
