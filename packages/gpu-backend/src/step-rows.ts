/** Rows of what is read token by token. For more, as prompts have, products are tiled, and sums are added in another order. */
export const STEP_ROWS = 8;
