import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { cachedModels } from "./cached-models";
import { body, status } from "./testing/faults";
import { gitOid, type Fault } from "./testing/loopback-hub";
import { PullScene, QUICK, CONFIG, FOLDER, WEIGHTS, bytes } from "./testing/pull-scene";

const scene = new PullScene();

describe("a server that lies", () => {
  test.each([
    [
      "other bytes of the same length",
      body(bytes(WEIGHTS.length, 3)),
      /has another SHA-256 than the hub lists, [0-9a-f]{64}/,
    ],
    ["more bytes", body(bytes(WEIGHTS.length + 1)), /sends more than the 200000 bytes that it lists/],
    ["a longer file", sized(WEIGHTS.length + 5), /sends 200005 bytes of application\/octet-stream, and lists 200000/],
    ["a shorter file", sized(WEIGHTS.length - 5), /sends 199995 bytes/],
    ["a page", sized(300, "text/html"), /sends 300 bytes of text\/html/],
  ])("with %s", async (_, fault, message) => {
    scene.hub.publish("a/b", FOLDER);
    scene.hub.fault = ({ what }) => (what === "storage" ? fault : null);
    expect(await scene.failure("a/b")).toMatch(message);
    const [model] = await cachedModels(scene.root);
    expect(model?.place).toBeNull();
    // Nothing of it is gone on with.
    scene.hub.fault = () => null;
    scene.hub.requests.length = 0;
    await scene.get("a/b");
    expect(scene.asked("model.safetensors")).toEqual([0]);
  });

  test("with fewer bytes than it lists, of no announced length", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", body(WEIGHTS.subarray(0, 70_000)));
    const { dir } = await scene.get("a/b");
    expect(scene.asked("model.safetensors")).toEqual([0, 70_000]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("with other bytes of a file that git holds", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("config.json", body(CONFIG.replace("Llama", "Mamba")));
    expect(await scene.failure("a/b")).toMatch(
      new RegExp(`config.json: what came has another SHA-1 .*${gitOid(Buffer.from(CONFIG))}`),
    );
  });

  test.each(["../../x", "/etc/passwd", "a/../../x", "x\0y", "./config.json", "a//b", ""])(
    "with %j in its listing",
    async (path) => {
      scene.hub.publish("a/b", { ...FOLDER, [path]: "x" });
      expect(await scene.failure("a/b")).toMatch(/which is outside of the repository; check that HF_ENDPOINT is a hub/);
      expect(existsSync(join(scene.root, "models"))).toBe(false);
    },
  );

  const listing = (fault: Fault): void => {
    scene.hub.publish("a/b", FOLDER);
    scene.hub.fault = ({ what }) => (what === "listing" ? fault : null);
  };
  const json = (value: unknown): Fault => body(JSON.stringify(value), "application/json");
  const entry = { type: "file", path: "config.json", size: 1, oid: "a".repeat(40) };

  test.each([
    ["HTML", body("<html>sign in</html>", "text/html; charset=utf-8"), /answers with text\/html, expected JSON/],
    ["JSON of another form", json({ files: [] }), /answers in another form than a hub does/],
    ["nothing", json(null), /answers in another form/],
    ["an entry that is none", json(["config.json"]), /lists files without a path, a size or a hash/],
    ["a size that is none", json([{ ...entry, size: -1 }]), /lists files without/],
    ["a size that is no number", json([{ ...entry, size: "1" }]), /lists files without/],
    ["no hash", json([{ ...entry, oid: undefined }]), /lists "config.json" without a hash/],
    ["a hash that is none", json([{ ...entry, lfs: { oid: "x", size: 1 } }]), /lists files without/],
  ])("with %s for its listing", async (_, fault, message) => {
    listing(fault);
    expect(await scene.failure("a/b")).toMatch(message);
  });

  test("with more than any disk holds: nothing is fetched", async () => {
    listing(json([entry, { ...entry, path: "model.safetensors", size: 9e14 }]));
    expect(await scene.failure("a/b")).toMatch(/900 TB are needed and .* are free; free space, or set WINNOW_CACHE/);
    expect(scene.asked("config.json")).toEqual([]);
  });

  test("with a listing that goes on elsewhere", async () => {
    listing((response) => {
      response.setHeader("link", `<${scene.hub.storageUrl}/next>; rel="next"`).end("[]");
    });
    expect(await scene.failure("a/b", { token: "hf_secret" })).toMatch(
      `continues its listing at ${scene.hub.storageUrl}`,
    );
    expect(scene.hub.requests.filter(({ what }) => what === "storage")).toEqual([]);
  });

  test("with a listing that never ends", async () => {
    listing((response) => {
      response.setHeader("link", `<${scene.hub.url}/api/models/a/b/tree/x?cursor=1>; rel="next"`).end("[]");
    });
    expect(await scene.failure("a/b")).toMatch(/lists files on more than 1000 pages/);
  });

  test("with a commit that is none", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.hub.fault = ({ what }) => (what === "commit" ? json({ sha: "../x" }) : null);
    expect(await scene.failure("a/b")).toMatch(/names no commit/);
  });
});

describe("a server that refuses", () => {
  test("what it does not have", async () => {
    expect(await scene.failure("a/b")).toMatch(
      /^a\/b: the hub answered 404, no such model or file; check the name at http/,
    );
  });

  test.each([401, 403])("with %i: HF_TOKEN may help", async (code) => {
    scene.hub.publish("a/b", FOLDER);
    scene.hub.fault = () => status(code, { "x-error-code": "GatedRepo" });
    expect(await scene.failure("a/b")).toMatch(
      /private or gated; check the name, or set HF_TOKEN to a token.*accept the model's terms/,
    );
    expect(await scene.failure("a/b", { token: "hf_secret" })).toMatch(/the token of HF_TOKEN may not read it/);
    expect(await scene.failure("a/b", { token: "hf_secret" })).not.toMatch(/secret/);
    expect(scene.hub.requests).toHaveLength(3);
  });

  test.each([500, 502, 503, 504, 429, 408])("with %i: again, and not for ever", async (code) => {
    scene.hub.publish("a/b", FOLDER);
    let left = 2;
    scene.hub.fault = ({ what }) => (what === "listing" && left-- > 0 ? status(code) : null);
    await scene.get("a/b");
    expect(scene.notes).toHaveLength(2);
    scene.hub.fault = ({ what }) => (what === "listing" ? status(code) : null);
    expect(await scene.failure("a/b")).toMatch(`the hub answered ${code}, 3 times in a row`);
  });

  test("for a while: Retry-After is obeyed", async () => {
    scene.hub.publish("a/b", FOLDER);
    let refusedAt = 0;
    let againAt = 0;
    scene.hub.fault = ({ what }) => {
      if (what !== "listing") return null;
      if (refusedAt !== 0) {
        againAt = performance.now();
        return null;
      }
      refusedAt = performance.now();
      return status(429, { "retry-after": "1" });
    };
    await scene.get("a/b", { patience: { ...QUICK, longestWaitMs: 2000 } });
    expect(againAt - refusedAt).toBeGreaterThanOrEqual(990);
  });

  test.each(["3600", new Date(Date.now() + 3600e3).toUTCString()])("until %s: nobody waits that long", async (text) => {
    scene.hub.publish("a/b", FOLDER);
    scene.hub.fault = () => status(429, { "retry-after": text });
    expect(await scene.failure("a/b")).toMatch(
      /answered 429, and asks to be left alone for 3[56]\d\d s; try again then, or set HF_TOKEN/,
    );
    expect(scene.hub.requests).toHaveLength(1);
  });

  test("with an answer that no hub gives", async () => {
    scene.hub.fault = () => status(418);
    expect(await scene.failure("a/b")).toMatch(/answered 418, which no hub does; check HF_ENDPOINT/);
  });
});

/** A whole answer of some length and type. */
function sized(length: number, type = "application/octet-stream"): Fault {
  return (response) => {
    response.writeHead(200, { "content-length": length, "content-type": type }).end(bytes(length));
  };
}
