// How long an answer is waited for: `node --test edge/js/wait.test.mjs`. What needs the runtime's streams is tried end to end.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inTime, TIMED_OUT } from "./wait.mjs";

const LIMIT_MS = 20;
const after = (ms, settle) => new Promise((resolve, reject) => setTimeout(() => settle(resolve, reject), ms));

test("an answer or a failure in time is given as it is", async () => {
  const answer = {};
  assert.equal(await inTime(Promise.resolve(answer), LIMIT_MS), answer);
  await assert.rejects(inTime(Promise.reject(new Error("refused")), LIMIT_MS), /refused/);
});

test("an answer or a failure that comes late changes nothing, and is nobody's unhandled failure", async () => {
  for (const settle of [(resolve) => resolve({}), (_, reject) => reject(new Error("late"))]) {
    const late = after(3 * LIMIT_MS, settle);
    assert.equal(await inTime(late, LIMIT_MS), TIMED_OUT);
    await late.catch(() => undefined);
  }
});

test("the time that is over after the answer changes nothing", async () => {
  const answer = inTime(Promise.resolve("answer"), LIMIT_MS);
  await after(3 * LIMIT_MS, (resolve) => resolve());
  assert.equal(await answer, "answer");
});
