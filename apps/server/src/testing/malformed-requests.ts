/** As much of a JSON schema as the server's document uses. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

type Choose = <T>(of: readonly T[]) => T;

const SAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  string: ["no such thing", ""],
  number: [-3.5, 1e9],
  integer: [3, -1],
  boolean: [true, false],
  null: [null],
  array: [[], [[]]],
  object: [{}, { "no such field": 1 }],
};

/** Makes bodies that fit a schema of an OpenAPI document, and bodies that do not fit it in one place. */
export class MalformedRequests {
  /**
   * @param schemas `components.schemas` of the document.
   * @param choose one of several, at random.
   */
  constructor(
    private readonly schemas: Readonly<Record<string, JsonSchema>>,
    private readonly choose: Choose,
  ) {}

  /** The least that fits. */
  fitting(given: JsonSchema): unknown {
    const schema = this.#resolve(given);
    const { enum: values, const: constant, properties = {}, required = [] } = schema;
    if (constant !== undefined) return constant;
    if (values !== undefined) return values[0];
    const [first] = schema.anyOf ?? schema.oneOf ?? [];
    if (first !== undefined) return this.fitting(first);
    switch (typesOf(schema)[0]) {
      case "string":
        return "x".repeat(Math.max(1, schema.minLength ?? 0));
      case "integer":
      case "number":
        return schema.minimum ?? (schema.exclusiveMinimum === undefined ? 1 : schema.exclusiveMinimum + 0.5);
      case "boolean":
        return true;
      case "array":
        return Array.from({ length: schema.minItems ?? 0 }, () => this.fitting(schema.items ?? {}));
      case "object":
        return Object.fromEntries(required.map((name) => [name, this.fitting(properties[name] ?? {})]));
      default:
        return null;
    }
  }

  /** What fits but for one fault; undefined where nothing can be at fault. */
  broken(given: JsonSchema): unknown {
    const schema = this.#resolve(given);
    const faults = this.#faults(schema);
    return faults.length === 0 ? undefined : this.choose(faults)();
  }

  #faults(schema: JsonSchema): (() => unknown)[] {
    const { properties = {}, required = [], items } = schema;
    const accepted = this.#accepted(schema);
    const faults: (() => unknown)[] = Object.entries(SAMPLES)
      .filter(([type]) => !accepted.has(type) && !(type === "integer" && accepted.has("number")))
      .filter(([type]) => !accepted.has("anything") && !(type === "number" && accepted.has("number")))
      .map(
        ([, values]) =>
          () =>
            this.choose(values),
      );
    if (schema.anyOf !== undefined || schema.oneOf !== undefined) return faults;
    const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
    if (values !== undefined) {
      faults.push(() => (values.every((value) => typeof value === "string") ? "none of these" : 77));
    }
    if ((schema.minLength ?? 0) > 0) faults.push(() => "");
    const { maxLength, maxItems, minItems = 0, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
    if (maxLength !== undefined) faults.push(() => "y".repeat(maxLength + 1));
    if (minimum !== undefined) faults.push(() => minimum - 1);
    if (exclusiveMinimum !== undefined) faults.push(() => exclusiveMinimum);
    if (maximum !== undefined) faults.push(() => maximum + 1);
    if (exclusiveMaximum !== undefined) faults.push(() => exclusiveMaximum);
    if (minItems > 0) faults.push(() => []);
    if (items !== undefined) {
      if (maxItems !== undefined) {
        faults.push(() => Array.from({ length: maxItems + 1 }, () => this.fitting(items)));
      }
      faults.push(() => {
        const fault = this.broken(items);
        return fault === undefined ? 5 : [fault];
      });
    }
    for (const name of required) {
      faults.push(() => {
        const { [name]: _, ...rest } = this.#fittingObject(schema);
        return rest;
      });
    }
    if (schema.additionalProperties === false) {
      faults.push(() => ({ ...this.#fittingObject(schema), "no such field": 1 }));
    }
    for (const [name, property] of Object.entries(properties)) {
      const fault = (): unknown => {
        const value = this.broken(property);
        return value === undefined ? [] : { ...this.#fittingObject(schema), [name]: value };
      };
      // Most of what can go wrong is in a field.
      faults.push(fault, fault, fault);
    }
    return faults;
  }

  #fittingObject(schema: JsonSchema): Record<string, unknown> {
    const { properties = {}, required = [] } = schema;
    return Object.fromEntries(required.map((name) => [name, this.fitting(properties[name] ?? {})]));
  }

  /** JSON types of which some value fits. */
  #accepted(schema: JsonSchema): ReadonlySet<string> {
    const branches = schema.anyOf ?? schema.oneOf;
    if (branches !== undefined) return new Set(branches.flatMap((one) => [...this.#accepted(this.#resolve(one))]));
    const types = typesOf(schema);
    const values = schema.enum ?? (schema.const === undefined ? [] : [schema.const]);
    if (types.length === 0 && values.length > 0)
      return new Set(values.map((value) => (value === null ? "null" : typeof value)));
    return new Set(types.length === 0 ? ["anything"] : types);
  }

  #resolve(schema: JsonSchema): JsonSchema {
    const name = schema.$ref?.replace("#/components/schemas/", "");
    return name === undefined ? schema : this.#resolve(this.schemas[name] ?? {});
  }
}

function typesOf({ type, properties }: JsonSchema): readonly string[] {
  if (type === undefined) return properties === undefined ? [] : ["object"];
  return typeof type === "string" ? [type] : type;
}
