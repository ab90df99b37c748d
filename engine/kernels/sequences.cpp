// SPDX-License-Identifier: BSD-3-Clause
// Kernels that go along time.
#include "attention.h"
#include "group.h"
#include "gru.h"
#include "lstm.h"
#include "normalized_lstm.h"
#include "positions.h"
#include "simple_rnn.h"

namespace nervure {

KernelGroup sequence_kernels() {
  return group_of<SimpleRnn, Lstm, NormalizedLstm, Gru, DotProductAttention,
                  PositionEmbedding, RotaryPositions>();
}

}  // namespace nervure
