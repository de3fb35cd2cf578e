/* How a weight's rows are stored, and reading them as floats. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "dots.h"
#include "integer-dots.h"

/* As `weight-form.ts` numbers them; behind these come the types of `groups.h`. */
typedef enum { WEIGHT_F32, WEIGHT_F16, WEIGHT_BF16, WEIGHT_QUANTISED } WeightForm;

typedef struct {
  WeightForm form;
  const uint8_t *data;
  uint32_t width;
  /* From one row to the next; of grouped rows from one group to the next. */
  uint32_t row_bytes;
} Weight;

INLINE bool is_grouped(WeightForm form) { return form >= WEIGHT_QUANTISED; }
INLINE Quantised quantised_of(WeightForm form) { return (Quantised)(form - WEIGHT_QUANTISED); }
INLINE Floats floats_of(WeightForm form) { return form == WEIGHT_F32 ? F32 : form == WEIGHT_F16 ? F16 : BF16; }

/* A row as f32. */
void read_row(const Weight *weight, uint32_t row, float *to);

#endif
