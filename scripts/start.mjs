/** npm start: the main job on real text, from a fresh clone to report.html. */
import { build, install, root } from './prepare.mjs';

await install();
await build();
const { runWithGpu } = await import('./withGpu.mjs'); // its packages are installed only now
process.exitCode = await runWithGpu(`${root}/examples/speeches/main.ts`, process.argv.slice(2));
