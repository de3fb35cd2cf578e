/* out = softCap(activation(norm(x) · weightᵀ + bias)) + residual. */
#include "norm.h"
#include "tasks.h"
#include "weights.h"

typedef enum { NO_ACTIVATION, SILU_GATE, GELU_GATE } Activation;

/*
 * Vectors that are multiplied with a weight as it is stored; for more of them its rows are widened first. No more than ROUNDED,
 * so that rounded ones lie together.
 */
#define FEW_ROWS 3
/* Rows of x beside a panel, a multiple of ROUNDED: they stay in the nearer caches while all of the panel is used. */
#define ROWS_AT_ONCE 48
/* Outputs of a panel whose rows are long, as `matmul.ts` has it. */
#define LEAST_PANEL 16

typedef struct {
  Weight weight;
  const float *x;
  uint32_t rows, inputs;
  const float *norm;
  float epsilon;
  /* Outputs of a row, half of the weight's rows where they are gated; and those of them to work out. */
  uint32_t width, from, to;
  const float *bias, *residual;
  Activation activation;
  float soft_cap;
  float *out;
  uint32_t out_stride;
  /* x as the products take it: floats, or rounded with its scales. */
  float *prepared;
  Rounded rounded;
  /* Halves' products take x times HALF_BIAS where that does not overflow: the weights are then read as they are. */
  bool small_halves;
  /* Outputs of a task, and what each thread works in. */
  uint32_t each;
  uint8_t *work;
  uint32_t work_bytes;
} Matmul;

static Matmul call;

static bool takes_few(uint32_t rows) { return rows <= FEW_ROWS; }

EXPORT(matmul_weight) void matmul_weight(WeightForm form, const uint8_t *data, uint32_t width, uint32_t row_bytes) {
  call.weight = (Weight){form, data, width, row_bytes};
}

/* Rows of x, normed where they have to be, times `factor`. */
static void prepare_floats(const Matmul *matmul, uint32_t row, float factor) {
  const float *x = matmul->x + row * matmul->inputs;
  float *to = matmul->prepared + row * matmul->inputs;
  float inverse = matmul->norm == 0 ? 1 : inverse_root_mean(x, matmul->inputs, matmul->epsilon);
  norm_row(x, matmul->norm, inverse, matmul->inputs, to);
  if (factor == 1) return;
  for (uint32_t i = 0; i < matmul->inputs; i++) to[i] *= factor;
}

static void prepare_task(const void *arguments, uint32_t row, uint32_t thread) {
  const Matmul *matmul = arguments;
  const uint32_t inputs = matmul->inputs;
  if (!is_grouped(matmul->weight.form)) {
    prepare_floats(matmul, row, matmul->small_halves ? HALF_BIAS : 1);
    return;
  }
  const float *x = matmul->x + row * inputs;
  float *normed = (float *)(matmul->work + thread * matmul->work_bytes);
  if (matmul->norm != 0) {
    norm_row(x, matmul->norm, inverse_root_mean(x, inputs, matmul->epsilon), inputs, normed);
    x = normed;
  }
  const Quantised type = quantised_of(matmul->weight.form);
  const uint32_t blocks = inputs / BLOCK, beside = rounded_beside(row, matmul->rows);
  const uint32_t parts = parts_in(type);
  const int32_t zero = byte_zero_of(type);
  if (has_bytes(type)) round_vector(BYTES, zero, parts, x, blocks, beside, rounded_at(BYTES, parts, matmul->rounded, row, blocks));
  else round_vector(WORDS, zero, parts, x, blocks, beside, rounded_at(WORDS, parts, matmul->rounded, row, blocks));
}

/* Products of few vectors with rows `from` .. `from + count` of the weight: sums [rows][stride]. */
static void few_dots(const Matmul *matmul, uint32_t from, uint32_t count, float *sums, uint32_t stride) {
  const Weight *weight = &matmul->weight;
  const uint32_t inputs = matmul->inputs;
  const uint8_t *rows = weight->data + from * weight->row_bytes;
  for (uint32_t i = 0; i < matmul->rows; i++) {
    const float *x = matmul->prepared + i * inputs;
    float *to = sums + i * stride;
    switch (weight->form) {
      case WEIGHT_F32: dots_of_one(F32, x, rows, weight->row_bytes, count, inputs, to); break;
      case WEIGHT_BF16: dots_of_one(BF16, x, rows, weight->row_bytes, count, inputs, to); break;
      case WEIGHT_F16:
        if (matmul->small_halves) dots_of_one(SMALL_F16, x, rows, weight->row_bytes, count, inputs, to);
        else dots_of_one(F16, x, rows, weight->row_bytes, count, inputs, to);
        break;
      default: break;
    }
  }
}

INLINE void few_group_dots(const Matmul *matmul, Lanes lanes, Quantised type, uint32_t from, uint32_t count, float *sums,
                           uint32_t stride) {
  const uint32_t blocks = matmul->inputs / BLOCK;
  for (uint32_t group = from / GROUP; group * GROUP < from + count; group++) {
    const uint8_t *at = matmul->weight.data + group * matmul->weight.row_bytes;
    for (uint32_t i = 0; i < matmul->rows; i++) {
      f32x4 four = group_dots(lanes, type, rounded_at(lanes, parts_in(type), matmul->rounded, i, blocks), matmul->rows, at, blocks);
      float results[GROUP];
      store4(results, four);
      for (uint32_t j = 0; j < GROUP; j++) {
        const uint32_t row = group * GROUP + j;
        if (row >= from && row < from + count) sums[i * stride + row - from] = results[j];
      }
    }
  }
}

#define DEFINE_FEW_GROUP_DOTS(TYPE)                                                                                     \
  ALONE void few_group_dots_##TYPE(const Matmul *matmul, uint32_t from, uint32_t count, float *sums, uint32_t stride) { \
    if (has_bytes(TYPE)) few_group_dots(matmul, BYTES, TYPE, from, count, sums, stride);                                \
    else few_group_dots(matmul, WORDS, TYPE, from, count, sums, stride);                                                \
  }
EACH_TYPE(DEFINE_FEW_GROUP_DOTS)

/* A type whose panels are laid out as this one's. */
INLINE Quantised panel_type(Quantised type) { return parts_in(type) == 2 ? Q6_K : has_offset(type) ? Q4_1 : Q8_0; }

#define DEFINE_WIDE_DOTS(TYPE)                                                                                         \
  ALONE void wide_dots_##TYPE(Lanes lanes, Rounded x, uint32_t rows, const Panel *panel, float *out, uint32_t stride) { \
    if (lanes == BYTES) wide_dots(BYTES, TYPE, x, rows, panel, out, stride);                                           \
    else wide_dots(WORDS, TYPE, x, rows, panel, out, stride);                                                          \
  }
DEFINE_WIDE_DOTS(Q8_0)
DEFINE_WIDE_DOTS(Q4_1)
DEFINE_WIDE_DOTS(Q6_K)

#define DEFINE_WIDEN(TYPE)                                                                                      \
  ALONE void widen_##TYPE(Lanes lanes, const uint8_t *group, uint32_t blocks, uint8_t *whole, float *scales) { \
    if (lanes == BYTES) widen_group(BYTES, TYPE, group, blocks, whole, scales);                                 \
    else widen_group(WORDS, TYPE, group, blocks, whole, scales);                                                \
  }
EACH_TYPE(DEFINE_WIDEN)

/* `panel_dots` for rows in groups. */
static void panel_group_dots(const Matmul *matmul, Lanes lanes, uint32_t first, uint32_t count, uint32_t from, uint32_t columns,
                             uint8_t *panel, bool widen, float *sums, uint32_t stride) {
  const Quantised type = quantised_of(matmul->weight.form);
  const uint32_t blocks = matmul->inputs / BLOCK;
  /* Whole groups, of which the first and the last may have rows before and behind those that are asked for. */
  const uint32_t group = from / GROUP;
  const uint32_t groups = parts_of(from + columns, GROUP) - group;
  const uint32_t whole_bytes = blocks * panel_block_bytes(lanes), scales_each = blocks * panel_block_scales(type);
  const Panel widened = {panel, (float *)(panel + groups * whole_bytes), groups, blocks};
  for (uint32_t g = 0; widen && g < groups; g++) {
    const uint8_t *at = matmul->weight.data + (group + g) * matmul->weight.row_bytes;
    uint8_t *whole = widened.whole + g * whole_bytes;
    float *scales = widened.scales + g * scales_each;
    switch (type) {
#define WIDEN(TYPE) \
  case TYPE: widen_##TYPE(lanes, at, blocks, whole, scales); break;
      EACH_TYPE(WIDEN)
    }
  }
  const Rounded x = rounded_at(lanes, parts_in(type), matmul->rounded, first, blocks);
  float *to = sums - from % GROUP;
  switch (panel_type(type)) {
    case Q6_K: wide_dots_Q6_K(lanes, x, count, &widened, to, stride); break;
    case Q4_1: wide_dots_Q4_1(lanes, x, count, &widened, to, stride); break;
    default: wide_dots_Q8_0(lanes, x, count, &widened, to, stride); break;
  }
}

/* Products of rows `first` .. `first + count` of x with a panel of the weight's rows from `from` on, which is widened where `widen` says so. */
static void panel_dots(const Matmul *matmul, uint32_t first, uint32_t count, uint32_t from, uint32_t columns, uint8_t *panel,
                       bool widen, float *sums, uint32_t stride) {
  const uint32_t inputs = matmul->inputs;
  const Weight *weight = &matmul->weight;
  const float *rows = (const float *)(weight->data + from * weight->row_bytes);
  if (weight->form != WEIGHT_F32) {
    if (widen)
      for (uint32_t j = 0; j < columns; j++) read_row(weight, from + j, (float *)panel + j * inputs);
    rows = (const float *)panel;
  }
  dots(matmul->prepared + first * inputs, inputs, count, rows, inputs, columns, inputs, sums, stride);
}

INLINE f32x4 gate_of(Activation activation, f32x4 x) {
  f32x4 one = wasm_f32x4_const_splat(1);
  if (activation == SILU_GATE) return wasm_f32x4_div(x, wasm_f32x4_add(one, exponential(wasm_f32x4_neg(x))));
  /* sqrt(2 / pi) · (x + 0.044715 x³) */
  f32x4 cube = wasm_f32x4_mul(wasm_f32x4_mul(x, x), x);
  f32x4 inner = wasm_f32x4_mul(wasm_f32x4_const_splat(0.7978845608f),
                               wasm_f32x4_add(x, wasm_f32x4_mul(wasm_f32x4_const_splat(0.044715f), cube)));
  f32x4 half = wasm_f32x4_mul(x, wasm_f32x4_const_splat(0.5f));
  return wasm_f32x4_mul(half, wasm_f32x4_add(one, hyperbolic_tangent(inner)));
}

/* Up to four results of a row, from their sums. */
INLINE f32x4 finished(const Matmul *matmul, f32x4 value, f32x4 up, f32x4 bias, f32x4 up_bias) {
  value = wasm_f32x4_add(value, bias);
  if (matmul->activation != NO_ACTIVATION)
    value = wasm_f32x4_mul(gate_of(matmul->activation, value), wasm_f32x4_add(up, up_bias));
  if (matmul->soft_cap > 0) {
    f32x4 cap = wasm_f32x4_splat(matmul->soft_cap);
    value = wasm_f32x4_mul(cap, hyperbolic_tangent(wasm_f32x4_div(value, cap)));
  }
  return value;
}

/* Turn the sums of a row, and where outputs are gated those of the other half, into results. */
static void finish_row(const Matmul *matmul, uint32_t row, uint32_t from, uint32_t count, const float *sums, const float *ups) {
  const uint32_t at = row * matmul->out_stride + from;
  const float *bias = matmul->bias == 0 ? 0 : matmul->bias + from;
  const bool gated = matmul->activation != NO_ACTIVATION;
  for (uint32_t j = 0; j < count; j += 4) {
    const uint32_t four = least(4, count - j);
    f32x4 low = bias == 0 ? ZERO : four == 4 ? load4(bias + j) : load_some(bias + j, four);
    f32x4 high = bias == 0 || !gated ? ZERO : four == 4 ? load4(bias + matmul->width + j) : load_some(bias + matmul->width + j, four);
    f32x4 value = finished(matmul, load4(sums + j), gated ? load4(ups + j) : ZERO, low, high);
    if (matmul->residual != 0) {
      const float *before = matmul->residual + at + j;
      value = wasm_f32x4_add(value, four == 4 ? load4(before) : load_some(before, four));
    }
    if (four == 4) store4(matmul->out + at + j, value);
    else store_some(matmul->out + at + j, value, four);
  }
}

/* Sums of a product whose rows lie in groups: few vectors with the weight as it is stored, many with a panel. */
static void grouped_sums(const Matmul *matmul, bool few, uint32_t first, uint32_t rows, uint32_t from, uint32_t count,
                         uint8_t *panel, float *sums, uint32_t stride) {
  const Quantised type = quantised_of(matmul->weight.form);
  if (few) {
    switch (type) {
#define FEW(TYPE) \
  case TYPE: few_group_dots_##TYPE(matmul, from, count, sums, stride); break;
      EACH_TYPE(FEW)
    }
    return;
  }
  const bool widen = first == 0;
  panel_group_dots(matmul, has_bytes(type) ? BYTES : WORDS, first, rows, from, count, panel, widen, sums, stride);
}

/* Sums of a task lie behind its panel, rows apart by whole vectors, with a group's rows before and behind. */
static void output_task(const void *arguments, uint32_t task, uint32_t thread) {
  const Matmul *matmul = arguments;
  const uint32_t from = matmul->from + task * matmul->each;
  const uint32_t count = least(matmul->each, matmul->to - from);
  const bool gated = matmul->activation != NO_ACTIVATION;
  const WeightForm form = matmul->weight.form;
  const uint32_t stride = parts_of(count, 4) * 4 + 2 * GROUP;
  uint8_t *work = matmul->work + thread * matmul->work_bytes;
  float *sums = (float *)work + GROUP;
  float *ups = sums + ROWS_AT_ONCE * stride;
  uint8_t *panel = (uint8_t *)(ups + ROWS_AT_ONCE * stride);
  const uint32_t panel_bytes = (parts_of(count, GROUP) + 1) * GROUP * (matmul->inputs * 4 + 4);
  const bool few = takes_few(matmul->rows);
  for (uint32_t first = 0; first < matmul->rows; first += ROWS_AT_ONCE) {
    const uint32_t rows = least(ROWS_AT_ONCE, matmul->rows - first);
    for (uint32_t half = 0; half <= (gated ? 1u : 0u); half++) {
      const uint32_t row = half * matmul->width + from;
      float *to = half == 0 ? sums : ups;
      if (is_grouped(form)) grouped_sums(matmul, few, first, rows, row, count, panel + half * panel_bytes, to, stride);
      else if (few) few_dots(matmul, row, count, to, stride);
      else panel_dots(matmul, first, rows, row, count, panel + half * panel_bytes, first == 0, to, stride);
    }
    for (uint32_t i = 0; i < rows; i++) finish_row(matmul, first + i, from, count, sums + i * stride, ups + i * stride);
  }
}

/* Bytes that a task of so many outputs works in. */
static uint32_t task_bytes(uint32_t each, uint32_t inputs) {
  const uint32_t stride = parts_of(each, 4) * 4 + 2 * GROUP;
  return 4 * (GROUP + 2 * ROWS_AT_ONCE * stride) + 2 * (parts_of(each, GROUP) + 1) * GROUP * (inputs * 4 + 4) + 64;
}

/* Outputs of a task: all threads have some, and a panel of many rows' fits the nearer caches. */
static uint32_t outputs_each(uint32_t outputs, uint32_t inputs, bool panels) {
  const uint32_t shared = parts_of(parts_of(outputs, 2 * thread_count()), 4) * 4;
  const uint32_t bound = panels ? most(LEAST_PANEL, 32768 / most(inputs, 1) / LEAST_PANEL * LEAST_PANEL) : 512;
  return most(4, least(shared, bound));
}

/* Work memory that a thread needs for any part of a product, in bytes. */
EXPORT(matmul_work) uint32_t matmul_work(uint32_t rows, uint32_t outputs, uint32_t inputs) {
  const bool panels = !takes_few(rows);
  return most(4 * inputs + 64, task_bytes(outputs_each(outputs, inputs, panels), panels ? inputs : 0));
}

/* Whether products take anything else than x itself, which then needs memory. */
EXPORT(matmul_prepares) bool matmul_prepares(uint32_t rows, bool is_normed) {
  return is_normed || is_grouped(call.weight.form) || (takes_few(rows) && call.weight.form == WEIGHT_F16);
}

/* Whether all are numbers that products with HALF_BIAS do not overflow. */
static bool fits_small_halves(const float *x, uint32_t count) {
  const f32x4 bound = wasm_f32x4_const_splat(32768);
  uint32_t i = 0;
  for (; i + 4 <= count; i += 4)
    if (!wasm_i32x4_all_true(wasm_f32x4_lt(wasm_f32x4_abs(load4(x + i)), bound))) return false;
  for (; i < count; i++)
    if (!(x[i] < 32768 && x[i] > -32768)) return false;
  return true;
}

/*
 * Work out outputs `from` .. `to` of every row; with `prepare`, x is made ready first, and stays so for further calls.
 *
 * prepared: [rows][inputs] floats, prepared_scales: [rows][inputs / BLOCK]; neither where `matmul_prepares` says no.
 */
EXPORT(matmul) void matmul(const float *x, uint32_t rows, const float *norm, float epsilon, uint32_t width, uint32_t from,
                           uint32_t to, const float *bias, const float *residual, Activation activation, float soft_cap,
                           float *out, uint32_t out_stride, float *prepared, float *prepared_scales, uint8_t *work,
                           uint32_t work_bytes, bool prepare) {
  const uint32_t inputs = call.weight.width;
  const bool few = takes_few(rows), prepares = matmul_prepares(rows, norm != 0);
  call.x = x;
  call.rows = rows;
  call.inputs = inputs;
  call.norm = norm;
  call.epsilon = epsilon;
  call.width = width;
  call.from = from;
  call.to = to;
  call.bias = bias;
  call.residual = residual;
  call.activation = activation;
  call.soft_cap = soft_cap;
  call.out = out;
  call.out_stride = out_stride;
  call.prepared = prepares ? prepared : (float *)x;
  /* Whole numbers take at most half of what elements do, and the rest less than a quarter each. */
  call.rounded = (Rounded){(uint8_t *)prepared, prepared_scales, prepared + rows * inputs * 3 / 4,
                           (int32_t *)(prepared + rows * inputs / 2)};
  call.work = work;
  call.work_bytes = work_bytes;
  call.each = outputs_each(width, inputs, !few);
  if (prepare) call.small_halves = false;
  if (prepare && prepares) {
    if (few && call.weight.form == WEIGHT_F16) {
      for (uint32_t row = 0; row < rows; row++) prepare_floats(&call, row, 1);
      call.small_halves = fits_small_halves(prepared, rows * inputs);
      if (call.small_halves)
        for (uint32_t i = 0; i < rows * inputs; i++) prepared[i] *= HALF_BIAS;
    } else {
      run_tasks(prepare_task, &call, rows);
    }
  }
  run_tasks(output_task, &call, parts_of(to - from, call.each));
}
