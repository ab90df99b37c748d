// SPDX-License-Identifier: BSD-3-Clause
// The C interface: nothing that is thrown leaves it.
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <stdexcept>

#include "../execution/executor.h"
#include "../execution/threads.h"
#include "../level.h"
#include "nervure.h"
#include "reading.h"

using nervure::c::End;

struct nervure_model {
  explicit nervure_model(nervure::c::PlanFile given)
      : file(std::move(given)),
        executor(std::move(file.plan), parameters(), parameters()) {}

  [[nodiscard]] float* parameters() const {
    return static_cast<float*>(file.parameters->data());
  }

  nervure::c::PlanFile file;
  nervure::Executor<float> executor;
  std::mutex mutex;
  std::atomic<int> threads{0};
};

namespace {

// Below this much work one thread is faster than two.
constexpr double parallel_work = 1e6;
constexpr int64_t most_rows = int64_t{1} << 40;

thread_local std::string last_error;

[[noreturn]] void refuse(const char* where, const char* fact) {
  throw std::invalid_argument("[" + std::string(where) + "] " + fact);
}

// What was thrown, in words; where there is no memory even for these, none.
void keep(const char* words) noexcept {
  try {
    last_error = words;
  } catch (...) {
    last_error.clear();
  }
}

template <class Call>
int guarded(Call&& call) noexcept {
  try {
    call();
    return 0;
  } catch (const std::bad_alloc&) {
    keep("[nervure] not enough memory; use a smaller model, or fewer rows at once");
  } catch (const std::exception& error) {
    keep(error.what());
  } catch (...) {
    keep("[nervure] an error of an unknown kind");
  }
  return 1;
}

// Instructions that this processor does not have would end the process.
void check_processor() {
#if defined(__x86_64__)
  const std::string_view built = NERVURE_LEVEL;
  if (built > nervure::newest_level())
    throw std::runtime_error("[nervure] built for x86-64-" + std::string(built) +
                             ", this processor has x86-64-" + nervure::newest_level() +
                             "; build it with -DNERVURE_LEVELS=" + nervure::newest_level());
#endif
}

int load(const char* path, int64_t bytes, nervure_model** model) {
  return guarded([&] {
    if (model == nullptr) refuse("nervure_load", "no place for the model");
    *model = nullptr;
    if (path == nullptr) refuse("nervure_load", "no path");
    check_processor();
    *model = new nervure_model(nervure::c::read_plan_file(path, bytes));
  });
}

int workers(const nervure_model& model, int64_t rows) {
  if (const int asked = model.threads.load(); asked > 0) return asked;
  const auto together = static_cast<double>(std::min(rows, model.executor.plan().rows));
  if (static_cast<double>(model.file.work) * together < parallel_work) return 1;
  return nervure::default_threads();
}

void predict(nervure_model& model, int64_t rows, const float* const* inputs,
             float* const* outputs) {
  nervure::Data<float> data;
  for (size_t i = 0; i < model.file.inputs.size(); ++i) {
    if (inputs[i] == nullptr) refuse("nervure_predict", "an input that is NULL");
    data.inputs.push_back({.data = inputs[i], .columns = model.file.inputs[i].size});
  }
  nervure::Results<float> results;
  results.outputs.assign(outputs, outputs + model.file.outputs.size());
  const std::lock_guard lock(model.mutex);
  for (int64_t done = 0; done < rows;)
    done = model.executor.forward(workers(model, rows), data, {nullptr, 0, rows}, {},
                                  results, done);
}

const End* input(const nervure_model* model, size_t which) {
  if (model == nullptr || which >= model->file.inputs.size()) return nullptr;
  return &model->file.inputs[which];
}
const End* output(const nervure_model* model, size_t which) {
  if (model == nullptr || which >= model->file.outputs.size()) return nullptr;
  return &model->file.outputs[which];
}
const char* name(const End* end) { return end == nullptr ? nullptr : end->name.c_str(); }
size_t rank(const End* end) { return end == nullptr ? 0 : end->shape.size(); }
const int64_t* shape(const End* end) {
  return end == nullptr ? nullptr : end->shape.data();
}
int64_t size(const End* end) { return end == nullptr ? -1 : end->size; }

}  // namespace

extern "C" {

const char* nervure_version(void) { return NERVURE_VERSION; }
const char* nervure_error(void) { return last_error.c_str(); }

int nervure_load(const char* path, nervure_model** model) { return load(path, 0, model); }
int nervure_load_within(const char* path, int64_t bytes, nervure_model** model) {
  return load(path, std::max<int64_t>(1, bytes), model);
}
void nervure_free(nervure_model* model) { delete model; }

size_t nervure_inputs(const nervure_model* model) {
  return model == nullptr ? 0 : model->file.inputs.size();
}
size_t nervure_outputs(const nervure_model* model) {
  return model == nullptr ? 0 : model->file.outputs.size();
}
const char* nervure_input_name(const nervure_model* model, size_t which) {
  return name(input(model, which));
}
const char* nervure_output_name(const nervure_model* model, size_t which) {
  return name(output(model, which));
}
size_t nervure_input_rank(const nervure_model* model, size_t which) {
  return rank(input(model, which));
}
size_t nervure_output_rank(const nervure_model* model, size_t which) {
  return rank(output(model, which));
}
const int64_t* nervure_input_shape(const nervure_model* model, size_t which) {
  return shape(input(model, which));
}
const int64_t* nervure_output_shape(const nervure_model* model, size_t which) {
  return shape(output(model, which));
}
int64_t nervure_input_size(const nervure_model* model, size_t which) {
  return size(input(model, which));
}
int64_t nervure_output_size(const nervure_model* model, size_t which) {
  return size(output(model, which));
}

int nervure_predict(nervure_model* model, int64_t rows, const float* const* inputs,
                    float* const* outputs) {
  return guarded([&] {
    if (model == nullptr) refuse("nervure_predict", "no model");
    if (inputs == nullptr || outputs == nullptr)
      refuse("nervure_predict", "no arrays for inputs or outputs");
    if (rows < 0 || rows > most_rows)
      refuse("nervure_predict", "a number of rows that is negative or too large");
    predict(*model, rows, inputs, outputs);
  });
}

int nervure_set_threads(nervure_model* model, int threads) {
  return guarded([&] {
    if (model == nullptr) refuse("nervure_set_threads", "no model");
    if (threads < 0 || threads > 1024)
      refuse("nervure_set_threads", "expected 0 to 1024 threads");
    model->threads = threads;
  });
}

}  // extern "C"
