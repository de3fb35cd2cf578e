import { expect, test } from "vitest";

import { bytesField, concatenated, floatField, integerField, message, messageField, textField } from "./protobuf";

// The examples of protobuf's documentation of its encoding.
test.each([
  ["150 in field 1", integerField(1, 150), [0x08, 0x96, 0x01]],
  ["testing in field 2", textField(2, "testing"), [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]],
  ["a message in field 3", messageField(3, integerField(1, 150)), [0x1a, 0x03, 0x08, 0x96, 0x01]],
  ["-2 in field 1", integerField(1, -2), [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ["1.5 in field 2", floatField(2, 1.5), [0x15, 0x00, 0x00, 0xc0, 0x3f]],
  ["a field beyond 15", integerField(20, 7), [0xa0, 0x01, 0x07]],
])("%s is encoded as protobuf says", (_, field, bytes) => {
  expect([...concatenated(field)]).toEqual(bytes);
});

test("bytes of tensors are not copied", () => {
  const data = new Uint8Array(300);
  const whole = message(messageField(7, bytesField(9, data)));
  expect(whole.pieces).toContain(data);
  expect(whole.bytes).toBe(concatenated(whole).length);
});
