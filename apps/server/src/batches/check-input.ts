import { readBatchRequest } from "./batch-request";
import { inputLines } from "./input-lines";
import type { BatchEndpoint } from "./run-line";
import type { InputError } from "./stored-batch";

/** More faults than these are not listed. */
const MAX_ERRORS = 100;

/** How many requests the file has, or what is wrong with it: then the list is not empty. */
export async function checkInput(
  content: AsyncIterable<Uint8Array>,
  endpoint: BatchEndpoint,
  maxLines: number,
): Promise<{ readonly total: number; readonly errors: readonly InputError[] }> {
  const errors: InputError[] = [];
  const numbers = new Map<string, number>();
  let total = 0;
  try {
    for await (const { number, text } of inputLines(content)) {
      total++;
      if (total > maxLines) {
        const message = `the file has more than ${maxLines} lines, the most that a batch takes here`;
        errors.push({ code: "too_many_requests", message, line: number, param: null });
        break;
      }
      const read = readBatchRequest(text, endpoint);
      if ("fault" in read) {
        errors.push({ ...read.fault, line: number });
      } else {
        const { customId } = read.request;
        const first = numbers.get(customId);
        if (first === undefined) {
          numbers.set(customId, number);
        } else {
          const message = `custom_id "${customId}" is that of line ${first} already`;
          errors.push({ code: "duplicate_custom_id", message, line: number, param: "custom_id" });
        }
      }
      if (errors.length >= MAX_ERRORS) break;
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    errors.push({ code: "invalid_encoding", message: "the file is not UTF-8", line: null, param: null });
  }
  if (total === 0 && errors.length === 0) {
    errors.push({ code: "empty_file", message: "the file has no requests", line: null, param: null });
  }
  return { total, errors };
}
