// Cleanup at the end of a test file, in reverse order.

import { after } from "node:test";

const undo = [];
let over = false;

/**
 * Registers for the end of the file even inside of a test or a hook. After a failure, things that
 * are created too late are cleaned up at once.
 */
export const atEnd = work => over ? work() : undo.push(work);

after(async () => {
  over = true;
  for (const work of undo.reverse()) await work();
});
