// What has to be undone when the tests of a file are over, last things first.

import { after } from "node:test";

const undo = [];

/** Registers at the file's end even from within a test or a hook. */
export const atEnd = work => undo.push(work);

after(async () => {
  for (const work of undo.reverse()) await work();
});
