export { exportOnnx, type ExportedType } from "./export-onnx";
