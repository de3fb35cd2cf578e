/* Operations on rows by themselves: embedding, norm, the greatest logit. */
#include "norm.h"
#include "tasks.h"
#include "weights.h"

static Weight table;

EXPORT(embed_table) void embed_table(WeightForm form, const uint8_t *data, uint32_t width, uint32_t row_bytes) {
  table = (Weight){form, data, width, row_bytes};
}

EXPORT(embed_row) void embed_row(uint32_t id, float scale, float *to) {
  read_row(&table, id, to);
  for (uint32_t i = 0; i < table.width; i++) to[i] *= scale;
}

typedef struct {
  const float *x, *weight, *residual;
  uint32_t stride, width, runs, step;
  float epsilon;
  float *out;
} Norm;

static void norm_task(const void *arguments, uint32_t row, uint32_t thread) {
  const Norm *norm = arguments;
  for (uint32_t run = 0; run < norm->runs; run++) {
    const uint32_t at = row * norm->stride + run * norm->width;
    const float *x = norm->x + at;
    const float *weight = norm->weight + run * norm->step;
    float *out = norm->out + at;
    float inverse = inverse_root_mean(x, norm->width, norm->epsilon);
    if (norm->residual == 0) {
      norm_row(x, weight, inverse, norm->width, out);
      continue;
    }
    const float *residual = norm->residual + at;
    for (uint32_t i = 0; i < norm->width; i++) out[i] = x[i] * inverse * weight[i] + residual[i];
  }
}

EXPORT(rms_norm) void rms_norm(const float *x, uint32_t rows, uint32_t stride, const float *weight, uint32_t width, uint32_t runs,
                               uint32_t step, float epsilon, const float *residual, float *out) {
  Norm norm = {x, weight, residual, stride, width, runs, step, epsilon, out};
  if (rows < 8)
    for (uint32_t row = 0; row < rows; row++) norm_task(&norm, row, 0);
  else
    run_tasks(norm_task, &norm, rows);
}

/* The id of the greatest of finite or infinite logits, the lower of two equal ones; `count` where one is no number. */
EXPORT(greatest_logit) uint32_t greatest_logit(const float *logits, uint32_t count) {
  uint32_t best = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (logits[i] != logits[i]) return count;
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

/* The logarithm of the sum of e^(logit - top). */
EXPORT(sum_of_exponentials) double sum_of_exponentials(const float *logits, uint32_t count, float top) {
  double sum = 0;
  f32x4 tops = wasm_f32x4_splat(top);
  uint32_t i = 0;
  while (i + 4 <= count) {
    /* Some hundred floats at a time, so that rounding does not add up. */
    f32x4 part = ZERO;
    for (uint32_t end = least(i + 512, count); i + 4 <= end; i += 4)
      part = wasm_f32x4_add(part, exponential(wasm_f32x4_sub(load4(logits + i), tops)));
    sum += lane_sum(part);
  }
  for (; i < count; i++) sum += exponential_of(logits[i] - top);
  return sum;
}
