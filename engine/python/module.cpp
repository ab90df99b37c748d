// SPDX-License-Identifier: BSD-3-Clause
// The module of one instruction set.
#include "bindings.h"

NB_MODULE(NERVURE_MODULE, m) {
  // At exit Python frees some objects late; that is no leak of ours.
  nanobind::set_leak_warnings(false);
  m.attr("level") = NERVURE_LEVEL;
  nervure::bind(m);
}
