// SPDX-License-Identifier: BSD-3-Clause
// A module with one word: the newest instruction set of the engine that this processor
// has.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "level.h"

namespace {

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "_cpu",
                          nullptr,
                          -1,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() {
  PyObject* module = PyModule_Create(&definition);
  if (module != nullptr)
    PyModule_AddStringConstant(module, "level", nervure::newest_level());
  return module;
}
