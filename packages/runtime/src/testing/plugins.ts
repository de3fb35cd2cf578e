import { PolicyRegistry, defineStatistic, defineStrategy } from "@winnow/kv-policies";

/** Plug-ins that fail while a prompt is read: `breaks-down` in its second layer, `unsound` at its first column. */
export function failingPlugins(): PolicyRegistry {
  const registry = new PolicyRegistry();
  registry.register(
    defineStrategy({
      name: "breaks-down",
      needs: ["mass"],
      decide: ({ layer, heads }) => {
        if (layer > 0) throw new Error("no idea");
        return heads.map(() => "recent(8)");
      },
    }),
  );
  registry.register(
    defineStatistic({
      name: "unsound",
      needs: ["keyNorm"],
      compute: () => {
        throw new Error("not today");
      },
    }),
  );
  return registry;
}
