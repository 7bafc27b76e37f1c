/** Lines on a terminal, or in a log. */

export function say(text: string): void {
  clear();
  console.log(text);
}

/** A line on standard error that the next one replaces; without a terminal a line of its own. */
export function progress(text: string): void {
  clear();
  if (process.stderr.isTTY) {
    process.stderr.write(`${text} …`);
  } else {
    process.stderr.write(`${text}\n`);
  }
}

function clear(): void {
  if (process.stderr.isTTY) {
    process.stderr.write('\r\x1b[K');
  }
}
