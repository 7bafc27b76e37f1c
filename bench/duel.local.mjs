// node bench/duel.local.mjs N dists… -- args…
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
const argv = process.argv.slice(2), n = Number(argv.shift()), cut = argv.indexOf('--');
const dists = argv.slice(0, cut), args = argv.slice(cut + 1);
const kids = [];
for (const d of dists) {
  const child = spawn(process.execPath, ['--import', './scripts/gpuPreload.mjs', 'bench/serve.local.mjs', ...args], { env: { ...process.env, DIST: `${process.cwd()}/dist.${d}` }, stdio: ['pipe', 'pipe', process.env.LOUD ? 'inherit' : 'ignore'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let l; do { l = (await lines.next()).value; if (l === undefined) throw new Error(d + ' died'); } while (!l.startsWith('{'));
  kids.push({ d, child, lines, first: JSON.parse(l).first, all: [] });
}
for (let i = 0; i <= n; i++) for (const k of kids) { k.child.stdin.write('x\n'); let l; do { l = (await k.lines.next()).value; } while (!l.startsWith('{')); if (i) k.all.push(JSON.parse(l)); }
const med = (a) => a.sort((x, y) => x - y)[a.length >> 1];
for (const k of kids) {
  console.log(k.d.padEnd(8), args.join(' '), 'first', k.first.toFixed(0), Object.keys(k.all[0]).filter((x) => !process.env.ONLY || x.includes(process.env.ONLY)).map((x) => { const a = k.all.map((o) => o[x]); return `${x} min ${Math.min(...a).toFixed(1)} med ${med(a).toFixed(1)}`; }).join('  '));
  k.child.kill();
}
process.exit(0);
