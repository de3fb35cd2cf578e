import { WinnowError } from "@winnow/core-tensor";

import { exportOnnx } from "./export-onnx";

const [from, folder, ...others] = process.argv.slice(2);
if (from === undefined || folder === undefined || others.length > 0) {
  process.stderr.write("usage: node tools/onnx-export/dist/program.js MODEL FOLDER\n");
  process.exitCode = 2;
} else {
  try {
    const type = await exportOnnx(from, folder);
    process.stdout.write(`${folder}: load it in Transformers.js with dtype "${type}"\n`);
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
