/* SPDX-License-Identifier: BSD-3-Clause */
/* Networks of nervure, run without Python: files that nv.export(net, "model.nervure")
 * wrote, loaded and asked for what the network gives. C99, and C++.
 *
 * Inputs and outputs are the network's own: float32, rows one behind the other, each row
 * with its last axis together, images channels-last. Preprocessing is no part of it.
 *
 * What returns int gives 0, or another number where it failed; nervure_error then says
 * why. Models are independent of each other and may be used by threads at once; calls for
 * one model wait for each other. */
#ifndef NERVURE_H
#define NERVURE_H

#include <stddef.h>
#include <stdint.h>

#if defined(NERVURE_BUILDS_LIBRARY) && defined(__GNUC__)
#define NERVURE_API __attribute__((visibility("default")))
#else
#define NERVURE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nervure_model nervure_model;

/* Version of the library, "1.2.3". */
NERVURE_API const char* nervure_version(void);

/* What went wrong in this thread's latest call that failed; "" before the first. It stays
 * until the next one fails. */
NERVURE_API const char* nervure_error(void);

/* Loads a file. Memory is bounded: by 256 MiB and 100 times what the file is large, or by
 * as many bytes as are said. A file that fails leaves *model NULL. */
NERVURE_API int nervure_load(const char* path, nervure_model** model);
NERVURE_API int nervure_load_within(const char* path, int64_t bytes, nervure_model** model);

/* Gives back all that a model holds; NULL is allowed. */
NERVURE_API void nervure_free(nervure_model* model);

/* How many arrays go in and come out, and what each is: its name, the axes of one row and
 * the numbers in it (the product of the axes). NULL, 0 and -1 where there is no such one.
 */
NERVURE_API size_t nervure_inputs(const nervure_model* model);
NERVURE_API size_t nervure_outputs(const nervure_model* model);
NERVURE_API const char* nervure_input_name(const nervure_model* model, size_t input);
NERVURE_API const char* nervure_output_name(const nervure_model* model, size_t output);
NERVURE_API size_t nervure_input_rank(const nervure_model* model, size_t input);
NERVURE_API size_t nervure_output_rank(const nervure_model* model, size_t output);
NERVURE_API const int64_t* nervure_input_shape(const nervure_model* model, size_t input);
NERVURE_API const int64_t* nervure_output_shape(const nervure_model* model, size_t output);
NERVURE_API int64_t nervure_input_size(const nervure_model* model, size_t input);
NERVURE_API int64_t nervure_output_size(const nervure_model* model, size_t output);

/* What the network gives for some rows, in inference: inputs[i] has rows * input_size(i)
 * numbers, outputs[i] room for rows * output_size(i), or is NULL where that output is not
 * wanted. The same bits as net.predict of an engine of the same instruction set, for any
 * number of threads. */
NERVURE_API int nervure_predict(nervure_model* model, int64_t rows,
                                const float* const* inputs, float* const* outputs);

/* Threads of a call: so many, or with 0 (the default) as the work asks for. */
NERVURE_API int nervure_set_threads(nervure_model* model, int threads);

#ifdef __cplusplus
}
#endif

#endif
