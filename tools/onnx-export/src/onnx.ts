import { bytesField, floatField, integerField, message, messageField, textField, type Encoded } from "./protobuf";

/** Element types, by the numbers of ONNX's `TensorProto.DataType`. */
const ELEMENT_TYPES = { f32: 1, u8: 2, i32: 6, i64: 7 } as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** Of a node's attribute, by what it is in JavaScript: whole numbers are INT, unless they are said to be a float. */
export type Attribute = number | { readonly float: number };

/** An axis: its length, or the name of one that each run chooses. */
export type Axis = number | string;

const IR_VERSION = 10;
const OPERATIONS_VERSION = 21;
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
/** Where the operations live that ONNX Runtime adds to ONNX's own. */
export const CONTRIB = "com.microsoft";

/** Collects the nodes, weights, inputs and outputs of a graph, and encodes them as an ONNX file. */
export class OnnxGraph {
  readonly #nodes: Encoded[] = [];
  readonly #weights: Encoded[] = [];
  readonly #inputs: Encoded[] = [];
  readonly #outputs: Encoded[] = [];
  #count = 0;

  /** @returns the name that nodes know it by. */
  input(name: string, type: ElementType, shape: readonly Axis[]): string {
    this.#inputs.push(messageField(11, ...valueInfo(name, type, shape)));
    return name;
  }

  output(name: string, type: ElementType, shape: readonly Axis[]): void {
    this.#outputs.push(messageField(12, ...valueInfo(name, type, shape)));
  }

  /** @returns the name that nodes know it by. */
  weight(name: string, type: ElementType, shape: readonly number[], data: ArrayBufferView): string {
    this.#weights.push(
      messageField(
        5,
        ...shape.map((extent) => integerField(1, extent)),
        integerField(2, ELEMENT_TYPES[type]),
        textField(8, name),
        bytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
      ),
    );
    return name;
  }

  /** A constant of a few whole numbers; of no axis where it is one number. */
  integers(value: number | readonly number[]): string {
    const values = typeof value === "number" ? [value] : value;
    const shape = typeof value === "number" ? [] : [values.length];
    return this.weight(
      this.#fresh("constant"),
      "i64",
      shape,
      BigInt64Array.from(values, (one) => BigInt(one)),
    );
  }

  /** Add a node with one output. @returns the output's name. */
  node(operation: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const output = this.#fresh(operation);
    this.nodeTo([output], operation, inputs, attributes);
    return output;
  }

  /** As {@link node}, of ONNX Runtime's own operations. */
  contrib(operation: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const output = this.#fresh(operation);
    this.nodeTo([output], operation, inputs, attributes, CONTRIB);
    return output;
  }

  /** Add a node whose outputs have these names; one that is empty is left out, and so is an input. */
  nodeTo(
    outputs: readonly string[],
    operation: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): void {
    this.#nodes.push(
      messageField(
        1,
        ...inputs.map((name) => textField(1, name)),
        ...outputs.map((name) => textField(2, name)),
        textField(3, this.#fresh("node")),
        textField(4, operation),
        ...Object.entries(attributes).map(([name, value]) => messageField(5, ...attributeOf(name, value))),
        textField(7, domain),
      ),
    );
  }

  /** The name of a tensor that no other has. */
  #fresh(kind: string): string {
    return `${kind}_${this.#count++}`;
  }

  /** The whole file. */
  encode(name: string): Encoded {
    const graph = [...this.#nodes, textField(2, name), ...this.#weights, ...this.#inputs, ...this.#outputs];
    return message(
      integerField(1, IR_VERSION),
      textField(2, "winnow"),
      messageField(7, ...graph),
      messageField(8, textField(1, ""), integerField(2, OPERATIONS_VERSION)),
      messageField(8, textField(1, CONTRIB), integerField(2, 1)),
    );
  }
}

function valueInfo(name: string, type: ElementType, shape: readonly Axis[]): Encoded[] {
  const axes = shape.map((axis) =>
    messageField(1, typeof axis === "number" ? integerField(1, axis) : textField(2, axis)),
  );
  const tensor = messageField(1, integerField(1, ELEMENT_TYPES[type]), messageField(2, ...axes));
  return [textField(1, name), messageField(2, tensor)];
}

function attributeOf(name: string, value: Attribute): Encoded[] {
  return typeof value === "number"
    ? [textField(1, name), integerField(3, value), integerField(20, ATTRIBUTE_INT)]
    : [textField(1, name), floatField(2, value.float), integerField(20, ATTRIBUTE_FLOAT)];
}
