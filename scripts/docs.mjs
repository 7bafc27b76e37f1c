/** npm run docs: pages of all public names, in docs/. */
import { bin, install, root, run } from './prepare.mjs';

await install();
process.exitCode = await run(process.execPath, [bin('typedoc'), '--options', `${root}/typedoc.json`], {
  mayFail: true,
});
