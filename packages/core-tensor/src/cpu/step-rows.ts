/**
 * `Backend.stepRows` of the CPU: what engines give a row never depends on the rows beside it, and with more the widening of a
 * weight's rows is shared among enough of them.
 */
export const CPU_STEP_ROWS = 32;
