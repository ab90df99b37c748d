// SPDX-License-Identifier: BSD-3-Clause
// Classes of digits in C, from raw bytes.
//
//   nervure train digits && nervure export runs/digits-1 --out digits.onnx
//   cc predict.c -o predict -lonnxruntime
//   ./predict digits.onnx images.bin
//
// images.bin holds images one after the other, 64 bytes of 8 x 8 pixels each.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "onnxruntime_c_api.h"

enum { PIXELS = 64, MOST_ROWS = 4096 };

static const OrtApi* ort;

static void check(OrtStatus* status) {
  if (status == NULL) return;
  fprintf(stderr, "%s\n", ort->GetErrorMessage(status));
  ort->ReleaseStatus(status);
  exit(1);
}

static int64_t read_images(const char* path, uint8_t* pixels) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  const size_t rows = fread(pixels, PIXELS, MOST_ROWS, file);
  fclose(file);
  return (int64_t)rows;
}

static int64_t classes_of(const OrtValue* probabilities) {
  OrtTensorTypeAndShapeInfo* info;
  int64_t extents[2];
  check(ort->GetTensorTypeAndShape(probabilities, &info));
  check(ort->GetDimensions(info, extents, 2));
  ort->ReleaseTensorTypeAndShapeInfo(info);
  return extents[1];
}

static void print_rows(int64_t rows, OrtValue* label, OrtValue* probabilities) {
  int64_t* labels;
  float* p;
  check(ort->GetTensorMutableData(label, (void**)&labels));
  check(ort->GetTensorMutableData(probabilities, (void**)&p));
  const int64_t classes = classes_of(probabilities);
  for (int64_t row = 0; row < rows; ++row, p += classes) {
    float best = p[0];
    for (int64_t k = 1; k < classes; ++k) best = p[k] > best ? p[k] : best;
    printf("%lld %.4f\n", (long long)labels[row], best);
  }
}

int main(int count, char** arguments) {
  static uint8_t pixels[PIXELS * MOST_ROWS];
  const char *input = "X", *outputs[] = {"label", "probabilities"};
  OrtEnv* environment;
  OrtSessionOptions* options;
  OrtSession* session;
  OrtMemoryInfo* memory;
  OrtValue *images, *found[2] = {NULL, NULL};
  if (count != 3) {
    fprintf(stderr, "usage: %s MODEL IMAGES\n", arguments[0]);
    return 2;
  }
  ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (ort == NULL) {
    fprintf(stderr, "the library is older than its header\n");
    return 1;
  }
  const int64_t shape[] = {read_images(arguments[2], pixels), 8, 8, 1};
  check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "predict", &environment));
  check(ort->CreateSessionOptions(&options));
  check(ort->CreateSession(environment, arguments[1], options, &session));
  check(ort->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeCPU, &memory));
  check(ort->CreateTensorWithDataAsOrtValue(memory, pixels, (size_t)shape[0] * PIXELS,
                                            shape, 4, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
                                            &images));
  check(ort->Run(session, NULL, &input, (const OrtValue* const*)&images, 1, outputs, 2,
                 found));
  print_rows(shape[0], found[0], found[1]);
  for (int i = 0; i < 2; ++i) ort->ReleaseValue(found[i]);
  ort->ReleaseValue(images);
  ort->ReleaseMemoryInfo(memory);
  ort->ReleaseSession(session);
  ort->ReleaseSessionOptions(options);
  ort->ReleaseEnv(environment);
  return 0;
}
