// Some browsers with WebGPU lack the symbols that everything in Winnow is disposed of by. Imported before all of it.
for (const name of ["dispose", "asyncDispose"]) {
  if (!Reflect.has(Symbol, name)) Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) });
}
