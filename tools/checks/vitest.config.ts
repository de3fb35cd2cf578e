export { default } from "../vitest-package";
