// SPDX-License-Identifier: BSD-3-Clause
// The engine's work without the interpreter's lock.
#pragma once

#include <nanobind/nanobind.h>

namespace nervure {

// While it lives, other threads of Python run. A daemon thread that comes back to an
// interpreter which has ended would be stopped there by it, in a way that C++ on its stack
// turns into an abort: it waits instead, for the process to end.
class Released {
 public:
  Released();
  ~Released();
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

  // Calls something of Python's meanwhile, on the thread that this was made on.
  template <class Call>
  void back(const Call& call) {
    come_back();
    call();
    state_ = PyEval_SaveThread();
  }

 private:
  void come_back();
  PyThreadState* state_;
};

// From now on no thread but this one comes back; those about to are waited for.
void let_none_back();

}  // namespace nervure
