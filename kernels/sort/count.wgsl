// First of three passes of a stable counting sort: how often each key stands in each slice of a row.
//
//   keys [rows, L]: 0 … N, or −1−b where padding stands among the keys b
//   →   counts [rows, slices, N+1]
//
// One workgroup per (row, slice). Counters live in workgroup memory, 2048 keys at a time: with more
// keys than that the slice is read once for every 2048.

struct Params {
  L: u32,
  N: u32,
  slices: u32,
  sliceLength: u32,
  workgroups: u32,
  keysStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<i32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

const LANES: u32 = 256u;
const COUNTERS: u32 = 2048u;

var<workgroup> counters: array<atomic<u32>, COUNTERS>;

/// A key out of range counts as padding, as in place.wgsl: nothing is written out of bounds.
fn sortKey(key: i32) -> u32 {
  return min(u32(select(key, -1 - key, key < 0)), params.N);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  if (index >= params.workgroups) {
    return;
  }
  let first = index % params.slices * params.sliceLength;
  let end = min(first + params.sliceLength, params.L);
  let rowStart = params.keysStart + index / params.slices * params.L;
  let size = params.N + 1u;

  for (var base = 0u; base < size; base += COUNTERS) {
    for (var i = lane; i < COUNTERS; i += LANES) {
      atomicStore(&counters[i], 0u);
    }
    workgroupBarrier();
    for (var token = first + lane; token < end; token += LANES) {
      let key = sortKey(keys[rowStart + token]);
      if (key >= base && key < base + COUNTERS) {
        atomicAdd(&counters[key - base], 1u);
      }
    }
    workgroupBarrier();
    for (var i = lane; i < min(COUNTERS, size - base); i += LANES) {
      counts[index * size + base + i] = atomicLoad(&counters[i]);
    }
    workgroupBarrier();
  }
}
