/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a network that `nervure export MODEL --out model.nervure` wrote, without Python.
 *
 *   cc -std=c99 -I engine/c predict.c -L build -lnervure -Wl,-rpath,build -o predict
 *   ./predict model.nervure rows.bin
 *
 * rows.bin holds rows of the only input as float32, one behind the other. Of each row the
 * largest number of the first output is printed, and where it stands: for a classifier the
 * most probable class. */
#include <nervure.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char* words) {
  fprintf(stderr, "%s\n", words);
  return EXIT_FAILURE;
}

/* Reads whole rows of so many numbers; NULL where there are none. */
static float* read_rows(const char* path, size_t size, size_t* rows) {
  FILE* file = fopen(path, "rb");
  float* numbers = NULL;
  size_t room = 0, count = 0;
  *rows = 0;
  if (file == NULL) return NULL;
  for (;;) {
    float* more = realloc(numbers, (room + 256 * size) * sizeof(float));
    if (more == NULL) break;
    numbers = more;
    room += 256 * size;
    count += fread(numbers + count, sizeof(float), room - count, file);
    if (count < room) break;
  }
  fclose(file);
  *rows = count / size;
  return numbers;
}

static void print_largest(const float* row, size_t size) {
  size_t largest = 0, i;
  for (i = 1; i < size; ++i)
    if (row[i] > row[largest]) largest = i;
  printf("%zu %.4f\n", largest, (double)row[largest]);
}

/* The first output for some rows; the others are not wanted. */
static float* predict(nervure_model* model, const float* rows, size_t count) {
  const size_t size = (size_t)nervure_output_size(model, 0);
  float* found = malloc(count * size * sizeof(float) + 1);
  float** outputs = calloc(nervure_outputs(model), sizeof(float*));
  if (found != NULL && outputs != NULL) {
    outputs[0] = found;
    if (nervure_predict(model, (int64_t)count, &rows, outputs) != 0) {
      free(found);
      found = NULL;
    }
  }
  free(outputs);
  return found;
}

int main(int count, char** words) {
  nervure_model* model;
  float *rows, *found;
  size_t number, i;
  if (count != 3) return fail("usage: predict model.nervure rows.bin");
  if (nervure_load(words[1], &model) != 0) return fail(nervure_error());
  if (nervure_inputs(model) != 1) return fail("expected a network with one input");
  rows = read_rows(words[2], (size_t)nervure_input_size(model, 0), &number);
  if (rows == NULL) return fail("the rows cannot be read");
  found = predict(model, rows, number);
  if (found == NULL) return fail(nervure_error());
  for (i = 0; i < number; ++i) {
    const size_t size = (size_t)nervure_output_size(model, 0);
    print_largest(found + i * size, size);
  }
  free(found);
  free(rows);
  nervure_free(model);
  return EXIT_SUCCESS;
}
