/**
 * What a helper's thread runs, as text: so that no bundler has to find another file. It gets a `HelperSetup`, and ends when
 * the leader tells it to. A kernel that traps fails its job, and the thread goes on to the next.
 */
const RUN = `(({ module, memory, thread, stack }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  for (;;) {
    exports.__stack_pointer.value = stack;
    try {
      return exports.help(thread);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      exports.fail_job(thread);
    }
  }
})`;

export const NODE_HELPER = `${RUN}(require("node:worker_threads").workerData);`;
export const WEB_HELPER = `onmessage = ({ data }) => { ${RUN}(data); close(); };`;
