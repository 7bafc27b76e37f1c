// Second pass of the counting sort: from how often each key occurs to where its first token goes.
//
//   counts [rows, slices, N+1]   →   the same buffer: slot of the first token of (key, slice) in its row
//   with WRITE_EDGES the first slot of each key, and of none: index [rows, N+2], from windowsStart on
//
// An exclusive prefix sum in the order key, then slice. One workgroup per row, 64 lanes, each with as
// many consecutive keys; no workgroup waits for another.

override WRITE_EDGES: bool = false;

struct Params {
  N: u32,
  slices: u32,
  workgroups: u32,
  windowsStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;

const LANES: u32 = 64u;

var<workgroup> sums: array<u32, LANES>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.workgroups) {
    return;
  }
  let size = params.N + 1u;
  let rowStart = row * params.slices * size;
  let share = (size + LANES - 1u) / LANES;
  let first = min(lane * share, size);
  let end = min(first + share, size);

  var total = 0u;
  for (var key = first; key < end; key++) {
    for (var slice = 0u; slice < params.slices; slice++) {
      total += counts[rowStart + slice * size + key];
    }
  }
  sums[lane] = total;
  workgroupBarrier();
  for (var step = 1u; step < LANES; step *= 2u) {
    var left = 0u;
    if (lane >= step) {
      left = sums[lane - step];
    }
    workgroupBarrier();
    sums[lane] += left;
    workgroupBarrier();
  }

  var slot = sums[lane] - total;
  for (var key = first; key < end; key++) {
    if (WRITE_EDGES) {
      index[params.windowsStart + row * (size + 1u) + key] = slot;
    }
    for (var slice = 0u; slice < params.slices; slice++) {
      let at = rowStart + slice * size + key;
      let count = counts[at];
      counts[at] = slot;
      slot += count;
    }
  }
  if (WRITE_EDGES && lane == LANES - 1u) {
    index[params.windowsStart + row * (size + 1u) + size] = slot;
  }
}
