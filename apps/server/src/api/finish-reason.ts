import type { FinishReason } from "@winnow/runtime";

/** As OpenAI tells it; an answer that was given up or failed has none, because its request fails. */
export function finishReasonOf(reason: FinishReason): "stop" | "length" {
  return reason === "stop" ? "stop" : "length";
}
