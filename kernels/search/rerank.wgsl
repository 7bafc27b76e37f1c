// Compares queries with vectors: all of them, or the first of each query's list.
//
//   rows [part, D]   queries [queries, D]   lists [queries, slots]   allowed [slots]   →   values [queries, width]
//
// A part is as many vectors as a binding holds; others are left to the pass that binds them. What is compared
// grows with the distance: |x − q|² (metric 0), −⟨x, q⟩ / |x| (1), −⟨x, q⟩ (2). Rows are scaled, as queries have
// been, so that no sum of squares overflows. Slots that are not allowed get the largest value.
//
// One lane per (query, vector), 64 vectors of one query a workgroup.

override HALF: bool = false; // rows are 16-bit floats, eight to a vec4u; else 32-bit ones, four
override METRIC: u32 = 0u;

struct Params {
  slots: u32,       // of all parts: the length of a list
  firstSlot: u32,   // of the part
  partSlots: u32,
  width: u32,       // values of a query
  vectors: u32,     // vec4u of a row
  listed: u32,      // 1: value i belongs to the slot that the list names at i; 0: to slot i
  tiles: u32,       // workgroups of a query
  rowScale: f32,    // a power of two
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4u>;
@group(0) @binding(2) var<storage, read> queries: array<vec4f>;
@group(0) @binding(3) var<storage, read> lists: array<u32>;
@group(0) @binding(4) var<storage, read> allowed: array<u32>;
@group(0) @binding(5) var<storage, read_write> values: array<f32>;

const LARGEST: f32 = 3e38;

/// The products that a distance is made of, in four parts each: of x and q, or of their difference; and of x.
struct Sums {
  product: vec4f,
  square: vec4f,
}

fn add(sums: Sums, x: vec4f, q: vec4f) -> Sums {
  let row = x * params.rowScale;
  if (METRIC == 0u) {
    return Sums(sums.product + (row - q) * (row - q), sums.square);
  }
  return Sums(sums.product + row * q, sums.square + row * row);
}

fn comparison(product: f32, square: f32) -> f32 {
  if (METRIC == 1u) {
    return select(0.0, -product / sqrt(square), square > 0.0);
  }
  return select(product, -product, METRIC == 2u);
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
  let query = ordinal / params.tiles;
  var place = ordinal % params.tiles * 64u + lane;
  var slot = params.firstSlot + place;
  if (params.listed == 1u) {
    if (place >= params.width) {
      return;
    }
    slot = lists[query * params.slots + place];
  } else {
    place = slot;
  }
  let local = slot - params.firstSlot; // below zero it wraps, beyond all of the part
  if (local >= params.partSlots) {
    return;
  }
  var sums = Sums();
  let row = local * params.vectors;
  let depth = params.vectors * select(1u, 2u, HALF);
  for (var v = 0u; v < params.vectors; v++) {
    let word = rows[row + v];
    if (HALF) {
      let q = query * depth + 2u * v;
      sums = add(sums, vec4f(unpack2x16float(word.x), unpack2x16float(word.y)), queries[q]);
      sums = add(sums, vec4f(unpack2x16float(word.z), unpack2x16float(word.w)), queries[q + 1u]);
    } else {
      sums = add(sums, bitcast<vec4f>(word), queries[query * depth + v]);
    }
  }
  let product = sums.product.x + sums.product.y + (sums.product.z + sums.product.w);
  let square = sums.square.x + sums.square.y + (sums.square.z + sums.square.w);
  values[query * params.width + place] = select(LARGEST, comparison(product, square), allowed[slot] != 0u);
}
