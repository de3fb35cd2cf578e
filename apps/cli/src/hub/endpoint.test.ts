import { describe, expect, test } from "vitest";

import { endpointOf } from "./endpoint";

describe("the hub that the environment names", () => {
  test.each([
    [{}, "https://huggingface.co", null],
    [{ HF_ENDPOINT: "", HF_TOKEN: "" }, "https://huggingface.co", null],
    [{ HF_ENDPOINT: "https://hub.example/", HF_TOKEN: " hf_x\n" }, "https://hub.example", "hf_x"],
    [{ HF_ENDPOINT: "http://127.0.0.1:8000/mirror/" }, "http://127.0.0.1:8000/mirror", null],
  ])("%j", (env, url, token) => {
    expect(endpointOf(env)).toEqual({ url, origin: new URL(url).origin, token });
  });

  test.each([
    "hub.example",
    "ftp://hub.example",
    "file:///etc",
    "https://me:secret@hub.example",
    "https://x/?secret=1",
  ])("%s is none, and is not repeated", (text) => {
    expect(() => endpointOf({ HF_ENDPOINT: text })).toThrow(/^HF_ENDPOINT is not a hub's address; expected http/);
    expect(() => endpointOf({ HF_ENDPOINT: text })).not.toThrow(/secret/);
  });

  test("a token that no header can hold is refused, and is not repeated", () => {
    expect(() => endpointOf({ HF_TOKEN: "hf_a\nhf_b" })).toThrow(/^HF_TOKEN has characters/);
    expect(() => endpointOf({ HF_TOKEN: "hf_a\nhf_b" })).not.toThrow(/hf_/);
  });
});
