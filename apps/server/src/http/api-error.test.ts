import { expect, it } from "vitest";

import { ApiError } from "./api-error";

it("is told in the shape of OpenAI's errors", () => {
  const error = new ApiError(400, "invalid_request_error", "n is 0; expected 1 to 16", { param: "n" });
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    error: { message: "n is 0; expected 1 to 16", type: "invalid_request_error", param: "n", code: null },
  });
});
