/** Calls of a kernel's outer loop ask whether they should stop. */
export type Poll = () => void;
