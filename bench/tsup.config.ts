import { defineConfig } from "tsup";

export default defineConfig({
  entry: {
    bench: "src/bench.ts",
    "health-probe": "src/server/health-probe.ts",
    "load-probe": "src/load/load-probe.ts",
    "peer-probe": "src/peers/peer-probe.ts",
  },
  format: ["esm"],
  target: "node20",
  clean: true,
});
