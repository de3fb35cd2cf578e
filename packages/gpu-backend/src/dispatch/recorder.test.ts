import { WinnowError } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { FLAT_WORKGROUP } from "../wgsl/workgroup";
import { describeGpu } from "../testing/on-gpu";
import { watchBuffers } from "../testing/live-buffers";
import { bind, testRecorder } from "../testing/test-recorder";
import { scratch } from "./binding";
import type { Dispatch } from "./dispatch";
import { defineFault } from "./fault";
import { flatGrid } from "./grid";
import { defineKernel } from "./kernel";
import { paramBlock } from "./params";

const PARAMS = paramBlock({ count: "u32", factor: "u32" });

/** out[i] = out[i] · factor + data[i], an invocation an element. */
const SCALE = defineKernel({
  label: "scale",
  params: PARAMS,
  storage: { out: { access: "write", type: "array<u32>" } },
  data: "array<u32>",
  code: `${FLAT_WORKGROUP}
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat_workgroup(group, groups);
  if (i < params.count) { out[i] = out[i] * params.factor + data[i]; }
}`,
});

const COPY = defineKernel({
  label: "copy",
  params: PARAMS,
  storage: { source: { access: "read", type: "array<u32>" }, out: { access: "write", type: "array<u32>" } },
  code: `${FLAT_WORKGROUP}
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat_workgroup(group, groups);
  if (i < params.count) { out[i] = source[i] * params.factor; }
}`,
});

const TOO_LARGE = defineFault((value, bound) => new WinnowError("range", `test: ${value} is not below ${bound}`));
const CHECK = defineKernel({
  label: "check",
  params: PARAMS,
  storage: { x: { access: "read", type: "array<u32>" } },
  fault: TOO_LARGE,
  code: `@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
  if (x[group.x] >= params.factor) { report_fault(x[group.x], params.factor); }
}`,
});

describeGpu("the recorder", () => {
  it("runs dispatches, writes, clears and reads in the order of the calls", async () => {
    using device = await testRecorder();
    const { recorder } = device;
    const out = device.words([1, 2, 3]);
    const scale = (factor: number, ...data: number[]): Dispatch => ({
      kernel: SCALE,
      params: PARAMS.pack({ count: 3, factor }),
      bindings: { out: bind(out) },
      data: Uint32Array.from(data),
      grid: [3, 1, 1],
    });
    recorder.run([scale(10, 1, 1, 1)]);
    const first = device.read(out);
    recorder.run([scale(2, 0, 0, 5)]);
    recorder.write(out, 4, new Uint8Array(Uint32Array.of(7).buffer));
    recorder.run([scale(1, 1, 1, 1)]);
    const second = device.read(out);
    recorder.clear(out);
    expect(await first).toEqual([11, 21, 31]);
    expect(await second).toEqual([23, 8, 68]);
    expect(await device.read(out)).toEqual([0, 0, 0]);
  });

  it("gathers dispatches into few submissions, and those into batches", async () => {
    using device = await testRecorder();
    const out = device.words([0]);
    const one: Dispatch = {
      kernel: SCALE,
      params: PARAMS.pack({ count: 1, factor: 1 }),
      bindings: { out: bind(out) },
      data: Uint32Array.of(1),
      grid: [1, 1, 1],
    };
    const before = device.recorder.counts.submissions;
    for (let i = 0; i < 10; i++) device.recorder.run([one]);
    expect(await device.read(out)).toEqual([10]);
    expect(device.recorder.counts.submissions - before).toBe(1);
    for (let i = 0; i < 200; i++) device.recorder.run([one]);
    expect(await device.read(out)).toEqual([210]);
    expect(device.recorder.counts.submissions - before).toBe(5);
    expect(device.recorder.counts).toMatchObject({ pipelines: 1, bindGroups: 1, dispatches: 210 });
  });

  it("splits a grid over two dimensions, and skips an empty one", async () => {
    using device = await testRecorder();
    const count = 70_001;
    const out = device.words(new Uint32Array(count));
    const bindings = { out: bind(out) };
    const params = PARAMS.pack({ count, factor: 1 });
    const data = new Uint32Array(count).fill(3);
    device.recorder.run([
      { kernel: SCALE, params, bindings, data, grid: flatGrid(count, device.gpu.capabilities.limits) },
      { kernel: SCALE, params, bindings, data, grid: flatGrid(0, device.gpu.capabilities.limits) },
    ]);
    expect(await device.read(out)).toEqual(new Array(count).fill(3));
  });

  it("shares scratch between the dispatches of a plan, and allocates nothing once warm", async () => {
    using device = await testRecorder();
    const buffers = watchBuffers(device.gpu.device);
    const x = device.words([1, 2, 3, 4]);
    const out = device.words([0, 0, 0, 0]);
    const step = (): void => {
      const grid = [4, 1, 1] as const;
      device.recorder.run([
        {
          kernel: COPY,
          params: PARAMS.pack({ count: 4, factor: 3 }),
          bindings: { source: bind(x), out: scratch("a", 16) },
          grid,
        },
        {
          kernel: COPY,
          params: PARAMS.pack({ count: 4, factor: 5 }),
          bindings: { source: scratch("a", 16), out: scratch("b", 16) },
          grid,
        },
        {
          kernel: COPY,
          params: PARAMS.pack({ count: 4, factor: 1 }),
          bindings: { source: scratch("b", 16), out: bind(out) },
          grid,
        },
      ]);
    };
    step();
    expect(await device.read(out)).toEqual([15, 30, 45, 60]);
    const before = { made: buffers.made(), ...device.recorder.counts };
    for (let token = 0; token < 30; token++) {
      step();
      await device.read(out);
    }
    expect(buffers.made()).toBe(before.made);
    expect(device.recorder.counts).toMatchObject({ pipelines: before.pipelines, bindGroups: before.bindGroups });
    expect(device.memory.snapshot().total).toBe(buffers.bytes());
  });

  it("tells of the same dispatches again, in their order and in one submission", async () => {
    using device = await testRecorder();
    const { recorder } = device;
    const out = device.words([1, 1]);
    const one = (factor: number, ...data: number[]): Dispatch => ({
      kernel: SCALE,
      params: PARAMS.pack({ count: 2, factor }),
      bindings: { out: bind(out) },
      data: Uint32Array.from(data),
      grid: [2, 1, 1],
    });
    const prepared = recorder.run([one(2, 0, 1), one(1, 3, 0)]);
    recorder.run([one(1, 1, 1)]);
    recorder.replay(prepared);
    expect(await device.read(out)).toEqual([(1 * 2 + 3 + 1) * 2 + 3, (1 * 2 + 1 + 1) * 2 + 1]);
    const before = recorder.counts;
    for (let i = 0; i < 100; i++) recorder.replay(prepared);
    await device.read(out);
    expect(recorder.counts).toEqual({
      ...before,
      dispatches: before.dispatches + 200,
      submissions: before.submissions + 1,
    });
  });

  it("grows the arena for a table larger than it", async () => {
    using device = await testRecorder();
    const count = 100_000;
    const out = device.words(new Uint32Array(count).fill(2));
    const data = Uint32Array.from({ length: count }, (_, i) => i);
    const params = PARAMS.pack({ count, factor: 2 });
    const grid = flatGrid(count, device.gpu.capabilities.limits);
    device.recorder.run([{ kernel: SCALE, params, bindings: { out: bind(out) }, data, grid }]);
    const found = await device.read(out);
    expect(found[0]).toBe(4);
    expect(found[count - 1]).toBe(4 + count - 1);
  });

  it("forgets bind groups with their buffers, whose commands it submits first", async () => {
    using device = await testRecorder();
    const x = device.words([1]);
    const out = device.words([0]);
    device.recorder.run([
      {
        kernel: COPY,
        params: PARAMS.pack({ count: 1, factor: 9 }),
        bindings: { source: bind(x), out: bind(out) },
        grid: [1, 1, 1],
      },
    ]);
    x.destroy();
    expect(device.recorder.counts.bindGroups).toBe(0);
    expect(await device.read(out)).toEqual([9]);
  });

  it("tells of a fault that a kernel found, once", async () => {
    using device = await testRecorder();
    const x = device.words([3, 12, 5]);
    const check = (factor: number): void => {
      device.recorder.run([
        { kernel: CHECK, params: PARAMS.pack({ count: 3, factor }), bindings: { x: bind(x) }, grid: [3, 1, 1] },
      ]);
    };
    check(100);
    expect(await device.recorder.finish()).toBeNull();
    check(10);
    await expect(device.read(x)).rejects.toMatchObject({ code: "range", message: "test: 12 is not below 10" });
    expect(await device.read(x)).toEqual([3, 12, 5]);
    check(100);
    expect(await device.recorder.finish()).toBeNull();
  });

  it("drops what was not submitted", async () => {
    using device = await testRecorder();
    const out = device.words([4]);
    const bindings = { out: bind(out) };
    const data = Uint32Array.of(1);
    const params = PARAMS.pack({ count: 1, factor: 2 });
    device.recorder.run([{ kernel: SCALE, params, bindings, data, grid: [1, 1, 1] }]);
    device.recorder.drop();
    expect(await device.read(out)).toEqual([4]);
    device.recorder.run([{ kernel: SCALE, params, bindings, data, grid: [1, 1, 1] }]);
    expect(await device.read(out)).toEqual([9]);
  });
});
