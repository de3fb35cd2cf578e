/** Below every score, and finite: a device may take infinities for anything. */
export const LOWEST = "-3.4028234e38";
