// SPDX-License-Identifier: BSD-3-Clause
#include "released.h"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace nervure {
namespace {

struct Door {
  std::mutex mutex;
  std::condition_variable changed;
  int coming_back = 0;
  bool closed = false;
  std::thread::id closer;  // which goes on: other work may be left for it to do at exit

  [[nodiscard]] bool lets_in() const {
    return !closed || closer == std::this_thread::get_id();
  }
};

// Never destroyed: threads may wait at it until the process ends.
Door& door() {
  static Door& one = *new Door;
  return one;
}

}  // namespace

Released::Released() : state_(PyEval_SaveThread()) {}

Released::~Released() { come_back(); }

void Released::come_back() {
  {
    std::unique_lock lock(door().mutex);
    door().changed.wait(lock, [] { return door().lets_in(); });
    ++door().coming_back;
  }
  PyEval_RestoreThread(state_);
  const std::lock_guard lock(door().mutex);
  --door().coming_back;
  door().changed.notify_all();
}

void let_none_back() {
  PyThreadState* const state = PyEval_SaveThread();
  {
    std::unique_lock lock(door().mutex);
    door().closed = true;
    door().closer = std::this_thread::get_id();
    door().changed.wait(lock, [] { return door().coming_back == 0; });
  }
  PyEval_RestoreThread(state);
}

}  // namespace nervure
