/** Imports run one way: apps → runtime → profiler → kv-policies → core-tensor. */
const ORDER = ["core-tensor", "kv-policies", "profiler", "runtime"];

const upward = ORDER.map((name, place) => ({
  name: `${name}-imports-upward`,
  comment: `@winnow/${name} may import ${place === 0 ? "no other package" : `only ${ORDER.slice(0, place).join(", ")}`} of the workspace.`,
  severity: "error",
  from: { path: `^packages/${name}/` },
  to: { path: [...ORDER.slice(place + 1).map((other) => `^packages/${other}/`), "^apps/", "^examples/", "^bench/"] },
}));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: "gpu-backend-imports-upward",
      comment: "@winnow/gpu-backend may import only core-tensor of the workspace.",
      severity: "error",
      from: { path: "^packages/gpu-backend/" },
      to: { path: ["^packages/(?!gpu-backend/|core-tensor/)", "^apps/", "^examples/", "^bench/"] },
    },
    {
      name: "cpu-backend-imports-upward",
      comment: "@winnow/cpu-backend may import only core-tensor of the workspace.",
      severity: "error",
      from: { path: "^packages/cpu-backend/" },
      to: { path: ["^packages/(?!cpu-backend/|core-tensor/)", "^apps/", "^examples/", "^bench/"] },
    },
    {
      name: "no-package-below-runtime-knows-a-device",
      comment: "A device is loaded by the runtime or by a program, and by those who ask for it.",
      severity: "error",
      from: { path: "^packages/(core-tensor|kv-policies|profiler)/" },
      to: { path: "^packages/(gpu|cpu)-backend/" },
    },
    {
      name: "apps-apart",
      comment:
        "Programs and examples are built from packages, never from each other; `winnow serve` alone starts the server.",
      severity: "error",
      from: { path: "^(apps|examples|bench)/([^/]+)/" },
      to: { path: "^(apps|examples|bench)/", pathNot: ["^$1/$2/", "^apps/server/dist/index"] },
    },
    {
      name: "policies-and-profiler-know-no-backend",
      comment: "Only the runtime runs anything: kv-policies and profiler are pure.",
      severity: "error",
      from: { path: "^packages/(kv-policies|profiler)/src/", pathNot: "[.]test[.]ts$" },
      to: { path: "^packages/core-tensor/(src/(cpu|worker)|dist/(worker|cpu-worker))" },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { pathNot: "/dist/" } },
    },
    {
      name: "resolvable",
      comment: "An import that does not resolve would hide an edge; build first.",
      severity: "error",
      from: { pathNot: "/dist/" },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ["node_modules", "/dist/"] },
    exclude: { path: ["[.]d[.]ts$", "[.]test[.]ts$", "vitest[.]config", "tsup[.]config", "/testing/"] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] },
  },
};
