/**
 * What a helper's thread runs, as text: so that no bundler has to find another file. It gets a `HelperSetup`, and ends when
 * the leader tells it to.
 */
const RUN = `(({ module, memory, thread, stack }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports.__stack_pointer.value = stack;
  exports.help(thread);
})`;

export const NODE_HELPER = `${RUN}(require("node:worker_threads").workerData);`;
export const WEB_HELPER = `onmessage = ({ data }) => { ${RUN}(data); close(); };`;
