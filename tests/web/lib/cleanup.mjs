// What has to be undone when the tests of a file are over, last things first.

import { after } from "node:test";

const undo = [];
let over = false;

/**
 * Registers at the file's end even from within a test or a hook. What only came
 * about afterwards, beside something that failed, is undone at once.
 */
export const atEnd = work => over ? work() : undo.push(work);

after(async () => {
  over = true;
  for (const work of undo.reverse()) await work();
});
