/* How a weight's rows are stored, and reading them as floats. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "dots.h"
#include "integer-dots.h"

/* As `weight-form.ts` numbers them. */
typedef enum { WEIGHT_F32, WEIGHT_F16, WEIGHT_BF16, WEIGHT_Q8_0, WEIGHT_Q4_0, WEIGHT_PACKED } WeightForm;

/* How a packed row lies in words: `QuantisedRow` of @winnow/core-tensor says what each is. */
typedef struct {
  uint32_t bits, zero, group, scale_kind, high, scales, supers;
} PackedRow;

typedef struct {
  WeightForm form;
  const uint8_t *data;
  uint32_t width;
  /* From one row to the next; of grouped rows from one group to the next. */
  uint32_t row_bytes;
  PackedRow packed;
} Weight;

INLINE bool is_grouped(WeightForm form) { return form == WEIGHT_Q8_0 || form == WEIGHT_Q4_0; }
INLINE Integers integers_of(WeightForm form) { return form == WEIGHT_Q8_0 ? Q8_0 : Q4_0; }
INLINE Floats floats_of(WeightForm form) { return form == WEIGHT_F32 ? F32 : form == WEIGHT_F16 ? F16 : BF16; }

/* A row as f32. */
void read_row(const Weight *weight, uint32_t row, float *to);

#endif
