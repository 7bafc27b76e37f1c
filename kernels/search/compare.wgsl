// Compares every query with every vector, as a product of matrices: what search/rerank does for lists.
//
//   rows [part, D]   queries [queries, D]   allowed [slots]   →   values [queries, slots]
//
// A part is as many vectors as a binding holds. What is compared grows with the distance: |x − q|² (metric 0),
// −⟨x, q⟩ / |x| (1), −⟨x, q⟩ (2). Rows are scaled, as queries have been, so that no sum of squares overflows. Slots
// that are not allowed get the largest value.
//
// One workgroup per 64 vectors and 32 queries: 16 numbers of each at a time go through workgroup memory, and each of
// 64 lanes compares 8 vectors with 4 queries in registers. Each 16 are added up for themselves: smaller errors.

override HALF: bool = false; // rows are 16-bit floats, eight to a vec4u; else 32-bit ones, four
override METRIC: u32 = 0u;

struct Params {
  slots: u32,      // of all parts
  firstSlot: u32,  // of the part
  partSlots: u32,
  queries: u32,
  vectors: u32,    // vec4u of a row
  tiles: u32,      // of 64 vectors, in the part
  rowScale: f32,   // a power of two
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4u>;
@group(0) @binding(2) var<storage, read> queries: array<vec4f>;
@group(0) @binding(3) var<storage, read> allowed: array<u32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;

const LARGEST: f32 = 3e38;
const ROWS: u32 = 64u;
const QUERIES: u32 = 32u;
const DEPTH: u32 = 16u; // numbers of a vector, in quarters

// By number, then by vector.
var<workgroup> rowTile: array<vec4f, DEPTH * ROWS / 4u>;
var<workgroup> queryTile: array<vec4f, DEPTH * QUERIES / 4u>;

/// Four numbers of a row, from a quarter of 16 on; zeros beyond its end.
fn rowNumbers(local: u32, quarter: u32) -> vec4f {
  let row = min(local, params.partSlots - 1u) * params.vectors;
  let word = select(quarter, quarter / 2u, HALF);
  if (word >= params.vectors) {
    return vec4f();
  }
  let words = rows[row + word];
  if (HALF) {
    let pair = select(words.xy, words.zw, (quarter & 1u) == 1u);
    return params.rowScale * vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
  }
  return params.rowScale * bitcast<vec4f>(words);
}

fn queryNumbers(query: u32, quarter: u32) -> vec4f {
  let depth = params.vectors * select(1u, 2u, HALF);
  if (quarter >= depth) {
    return vec4f();
  }
  return queries[min(query, params.queries - 1u) * depth + quarter];
}

/// Each lane turns four numbers of four vectors around; four lanes read 16 numbers of a vector, side by side.
fn stageTiles(firstRow: u32, firstQuery: u32, firstQuarter: u32, lane: u32) {
  let four = lane / 4u;
  let row = firstRow + 4u * four;
  let quarter = firstQuarter + lane % 4u;
  let x = transpose(mat4x4f(
    rowNumbers(row, quarter),
    rowNumbers(row + 1u, quarter),
    rowNumbers(row + 2u, quarter),
    rowNumbers(row + 3u, quarter),
  ));
  for (var c = 0u; c < 4u; c++) {
    rowTile[(4u * (lane % 4u) + c) * (ROWS / 4u) + four] = x[c];
  }
  if (four >= QUERIES / 4u) {
    return;
  }
  let query = firstQuery + 4u * four;
  let q = transpose(mat4x4f(
    queryNumbers(query, quarter),
    queryNumbers(query + 1u, quarter),
    queryNumbers(query + 2u, quarter),
    queryNumbers(query + 3u, quarter),
  ));
  for (var c = 0u; c < 4u; c++) {
    queryTile[(4u * (lane % 4u) + c) * (QUERIES / 4u) + four] = q[c];
  }
}

/// One number more of four vectors, and of a query.
fn accumulate(sums: vec4f, x: vec4f, q: f32) -> vec4f {
  if (METRIC == 0u) {
    return fma(x - q, x - q, sums);
  }
  return fma(x, vec4f(q), sums);
}

/// Likewise of four queries.
fn compareFour(sums: mat4x4f, x: vec4f, q: vec4f) -> mat4x4f {
  return mat4x4f(
    accumulate(sums[0], x, q.x),
    accumulate(sums[1], x, q.y),
    accumulate(sums[2], x, q.z),
    accumulate(sums[3], x, q.w),
  );
}

fn comparison(product: f32, square: f32) -> f32 {
  if (METRIC == 1u) {
    return select(0.0, -product / sqrt(square), square > 0.0);
  }
  return select(product, -product, METRIC == 2u);
}

fn writeFour(query: u32, local: u32, products: vec4f, squares: vec4f) {
  if (query >= params.queries) {
    return;
  }
  for (var c = 0u; c < 4u; c++) {
    if (local + c < params.partSlots) {
      let slot = params.firstSlot + local + c;
      let value = comparison(products[c], squares[c]);
      values[query * params.slots + slot] = select(LARGEST, value, allowed[slot] != 0u);
    }
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let ordinal = group.x + group.y * groups.x;
  if (ordinal >= params.workgroups) {
    return;
  }
  let firstRow = ordinal % params.tiles * ROWS;
  let firstQuery = ordinal / params.tiles * QUERIES;
  let mine = lane % 8u;  // vec4 of rows: this one, and the eighth after it
  let asked = lane / 8u; // vec4 of queries
  var lower = mat4x4f();
  var upper = mat4x4f();
  var lowerSquares = vec4f();
  var upperSquares = vec4f();
  let quarters = params.vectors * select(1u, 2u, HALF);
  for (var quarter = 0u; quarter < quarters; quarter += DEPTH / 4u) {
    stageTiles(firstRow, firstQuery, quarter, lane);
    workgroupBarrier();
    var lowerPart = mat4x4f();
    var upperPart = mat4x4f();
    for (var d = 0u; d < DEPTH; d++) {
      let x = rowTile[d * (ROWS / 4u) + mine];
      let y = rowTile[d * (ROWS / 4u) + 8u + mine];
      let q = queryTile[d * (QUERIES / 4u) + asked];
      lowerPart = compareFour(lowerPart, x, q);
      upperPart = compareFour(upperPart, y, q);
      if (METRIC == 1u) {
        lowerSquares = fma(x, x, lowerSquares);
        upperSquares = fma(y, y, upperSquares);
      }
    }
    lower += lowerPart;
    upper += upperPart;
    workgroupBarrier();
  }
  let local = firstRow + 4u * mine;
  for (var q = 0u; q < 4u; q++) {
    let query = firstQuery + 4u * asked + q;
    writeFour(query, local, lower[q], lowerSquares);
    writeFour(query, local + 32u, upper[q], upperSquares);
  }
}
