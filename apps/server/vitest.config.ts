export { default } from "../../tools/vitest-gpu.ts";
