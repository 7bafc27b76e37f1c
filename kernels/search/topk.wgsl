// The k smallest of every 1,024 values, in order, of equals the lower slot. Passes follow one another, each on what
// the one before has left, until one tile is left.
//
//   values [queries, width]   lists [queries, pitch]   →   bestValues, bestSlots [queries, tiles, k]
//
// One workgroup per tile of a query: a bitonic sort in workgroup memory, 256 lanes with two pairs each.

struct Params {
  width: u32,     // values of a query
  pitch: u32,     // length of a list
  listed: u32,    // 1: value i belongs to the slot that the list names at i; 0: to slot i
  k: u32,
  tiles: u32,     // of a query
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> lists: array<u32>;
@group(0) @binding(3) var<storage, read_write> bestValues: array<f32>;
@group(0) @binding(4) var<storage, read_write> bestSlots: array<u32>;

const LANES: u32 = 256u;
const TILE: u32 = 1024u;
const LARGEST: f32 = 3e38;
const NONE: u32 = 0xffffffffu;

var<workgroup> tileValues: array<f32, TILE>;
var<workgroup> tileSlots: array<u32, TILE>;

fn comesBefore(a: u32, b: u32) -> bool {
  return tileValues[a] < tileValues[b] || (tileValues[a] == tileValues[b] && tileSlots[a] < tileSlots[b]);
}

@compute @workgroup_size(256)
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
  let first = ordinal % params.tiles * TILE;
  for (var i = lane; i < TILE; i += LANES) {
    let at = first + i;
    let inside = at < params.width;
    let value = values[query * params.width + min(at, params.width - 1u)];
    var slot = at;
    if (params.listed == 1u) {
      slot = lists[query * params.pitch + min(at, params.width - 1u)];
    }
    let counts = inside && value < LARGEST;
    tileValues[i] = select(LARGEST, value, counts);
    tileSlots[i] = select(NONE, slot, counts);
  }
  for (var size = 2u; size <= TILE; size *= 2u) {
    for (var step = size / 2u; step > 0u; step /= 2u) {
      workgroupBarrier();
      for (var pair = lane; pair < TILE / 2u; pair += LANES) {
        let low = 2u * pair - (pair & (step - 1u));
        let high = low + step;
        let ascending = (low & size) == 0u;
        if (comesBefore(high, low) == ascending) {
          let value = tileValues[low];
          let slot = tileSlots[low];
          tileValues[low] = tileValues[high];
          tileSlots[low] = tileSlots[high];
          tileValues[high] = value;
          tileSlots[high] = slot;
        }
      }
    }
  }
  workgroupBarrier();
  for (var i = lane; i < params.k; i += LANES) {
    bestValues[ordinal * params.k + i] = tileValues[i];
    bestSlots[ordinal * params.k + i] = tileSlots[i];
  }
}
