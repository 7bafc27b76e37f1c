/** Draws guides/pictures/idea.svg: hash, sort, chunk, attend, on twelve tokens. node scripts/picture.mjs */
import { writeFileSync } from 'node:fs';

const [L, C] = [12, 4];
/** The bucket of each token, as a hash might have it. */
const BUCKETS = [0, 2, 1, 0, 3, 1, 2, 0, 1, 3, 2, 0];
const COLOURS = ['#3f83c0', '#d07a2d', '#4d9a5b', '#9464b8'];
const SIDE = 26;
const CELL = 15;
const LEFT = 16;
const ROWS = { sequence: 62, sorted: 142, chunks: 212 };
const MATRICES = { top: 62, inSortedOrder: 452, inSequence: 672 };

/** Tokens by bucket, of equals the first. */
const order = BUCKETS.map((_, token) => token).sort((a, b) => BUCKETS[a] - BUCKETS[b] || a - b);
const slotOf = Object.fromEntries(order.map((token, slot) => [token, slot]));
const chunkOf = (slot) => Math.floor(slot / C);
const sees = (slot, other) => chunkOf(other) === chunkOf(slot) || chunkOf(other) === chunkOf(slot) - 1;
const x = (place) => LEFT + place * (SIDE + 4);
const inChunk = (slot) => x(slot) + 14 * chunkOf(slot);

function token(left, top, number) {
  const fill = COLOURS[BUCKETS[number]];
  return `<rect x="${left}" y="${top}" width="${SIDE}" height="${SIDE}" rx="4" fill="${fill}"/><text class="number" x="${left + SIDE / 2}" y="${top + 18}">${number + 1}</text>`;
}

function line(from, to, top, bottom, number) {
  const middle = (top + bottom) / 2;
  return `<path class="line" stroke="${COLOURS[BUCKETS[number]]}" d="M${from} ${top}C${from} ${middle} ${to} ${middle} ${to} ${bottom}"/>`;
}

/** Who sees whom: a row a query, a column a key, both in an order of tokens. */
function matrix(left, top, tokens) {
  const side = L * CELL + 2;
  const cells = tokens.flatMap((query, row) =>
    tokens
      .map((key, column) => ({ key, column }))
      .filter(({ key }) => sees(slotOf[query], slotOf[key]))
      .map(
        ({ column }) => `M${left + column * CELL} ${top + row * CELL}h${CELL - 2}v${CELL - 2}h${2 - CELL}z`,
      )
      .join('')
      .replace(/^.+$/, (cell) => `<path class="seen" fill="${COLOURS[BUCKETS[query]]}" d="${cell}"/>`),
  );
  return `<rect class="all" x="${left - 2}" y="${top - 2}" width="${side}" height="${side}" rx="3"/>${cells.join('')}`;
}

const label = (left, top, bold, text) =>
  `<text x="${left}" y="${top}"><tspan class="bold">${bold}</tspan> ${text}</text>`;
const places = BUCKETS.map((_, place) => place);
const half = SIDE / 2;
const { sequence, sorted, chunks } = ROWS;
const { top, inSortedOrder, inSequence } = MATRICES;
const below = top + L * CELL + 20;

const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 870 290" width="870" height="290" role="img" aria-label="Hash, sort, chunk, attend">
<style>
svg { color: #1d2126; font: 13px system-ui, sans-serif; }
text { fill: currentColor; } .bold { font-weight: 600; } .number { fill: #fff; text-anchor: middle; font-weight: 600; }
.line { fill: none; stroke-width: 1.5; opacity: .75; } .all { fill: currentColor; opacity: .09; } .frame { fill: none; stroke: currentColor; opacity: .45; }
@media (prefers-color-scheme: dark) { svg { color: #e4e7ea; } }
</style>
${label(LEFT, 30, 'Hash.', 'Tokens that point the same way get the same bucket.')}
${places.map((place) => token(x(place), sequence, place)).join('\n')}
${places.map((place) => line(x(place) + half, x(slotOf[place]) + half, sequence + SIDE, sorted, place)).join('')}
${order.map((number, slot) => token(x(slot), sorted, number)).join('\n')}
${order.map((number, slot) => line(x(slot) + half, inChunk(slot) + half, sorted + SIDE, chunks, number)).join('')}
${order.map((number, slot) => token(inChunk(slot), chunks, number)).join('\n')}
${[0, C, 2 * C].map((slot) => `<rect class="frame" x="${inChunk(slot) - 5}" y="${chunks - 5}" width="${C * (SIDE + 4) + 6}" height="${SIDE + 10}" rx="6"/>`).join('')}
${label(LEFT, chunks + SIDE + 28, 'Sort', 'by bucket, and cut into <tspan class="bold">chunks</tspan>.')}
${label(inSortedOrder, 30, 'Attend', 'to the own chunk and the one before:')}
${matrix(inSortedOrder, top, order)}
<text x="${inSortedOrder}" y="${below}">in sorted order: L · 2C pairs</text>
${matrix(inSequence, top, places)}
<text x="${inSequence}" y="${below}">in the sequence: of L · L</text>
<text x="${inSortedOrder}" y="${below + 20}">Another round has another hash, and sees other pairs.</text>
</svg>
`;
writeFileSync(new URL('../guides/pictures/idea.svg', import.meta.url), svg);
