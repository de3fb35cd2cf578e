export { adaKv } from "./ada-kv";
export { FIELD } from "./field";
