/** npm run demo: the demo page on a server of one's own; npm run demo:build: the page as files, in examples/demo/dist. */
import { bin, install, root, run } from './prepare.mjs';

await install();
const [command, ...rest] = process.argv.slice(2);
const config = `${root}/examples/demo/vite.config.ts`;
process.exitCode = await run(process.execPath, [bin('vite'), command, '--config', config, ...rest], {
  mayFail: true,
});
