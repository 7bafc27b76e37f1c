// The k smallest of every segment of values, in order, of equals the lower slot. Passes follow one another, each on
// what the one before has left, until one segment is left.
//
//   values [queries, width]   lists [queries, pitch]   →   bestValues, bestSlots [queries, segments, k]
//
// One workgroup per segment of a query, 256 lanes. It walks over 512 values at a time, and keeps in workgroup memory
// those that come before the k-th of all that it has sorted: soon almost none. When there are twice as many as it
// needs, a bitonic sort leaves the k smallest.

struct Params {
  width: u32,     // values of a query
  pitch: u32,     // length of a list
  listed: u32,    // 1: value i belongs to the slot that the list names at i; 0: to slot i
  k: u32,         // at most 512
  segment: u32,   // values of a segment
  segments: u32,  // of a query
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> lists: array<u32>;
@group(0) @binding(3) var<storage, read_write> bestValues: array<f32>;
@group(0) @binding(4) var<storage, read_write> bestSlots: array<u32>;

const LANES: u32 = 256u;
const STEP: u32 = 512u;
const FEW: u32 = 64u; // are not worth a sort
const LARGEST: f32 = 3e38;
const NONE: u32 = 0xffffffffu;

struct Entry {
  value: f32,
  slot: u32,
}

var<workgroup> entries: array<Entry, 2u * STEP>;
var<workgroup> taken: atomic<u32>;
var<workgroup> kept: u32;

fn comesBefore(a: Entry, b: Entry) -> bool {
  return a.value < b.value || (a.value == b.value && a.slot < b.slot);
}

/// Puts the first `count` entries in order.
fn sortEntries(count: u32, lane: u32) {
  var size = 1u;
  while (size < count) {
    size *= 2u;
  }
  for (var i = count + lane; i < size; i += LANES) {
    entries[i] = Entry(LARGEST, NONE);
  }
  for (var run = 2u; run <= size; run *= 2u) {
    for (var step = run / 2u; step > 0u; step /= 2u) {
      workgroupBarrier();
      for (var pair = lane; pair < size / 2u; pair += LANES) {
        let at = 2u * pair - (pair & (step - 1u));
        let low = entries[at];
        let high = entries[at + step];
        if (comesBefore(high, low) == ((at & run) == 0u)) {
          entries[at] = high;
          entries[at + step] = low;
        }
      }
    }
  }
  workgroupBarrier();
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
  let query = ordinal / params.segments;
  let first = ordinal % params.segments * params.segment;
  let end = min(first + params.segment, params.width);
  let most = min(max(2u * params.k, FEW), STEP);
  var last = Entry(LARGEST, 0u); // what is not before it is not among the k smallest
  for (var step = first; step < end; step += STEP) {
    for (var at = step + lane; at < min(step + STEP, end); at += LANES) {
      let value = values[query * params.width + at];
      var slot = at;
      if (params.listed == 1u) {
        slot = lists[query * params.pitch + at];
      }
      let entry = Entry(value, slot);
      if (comesBefore(entry, last)) {
        entries[atomicAdd(&taken, 1u)] = entry;
      }
    }
    workgroupBarrier();
    if (lane == 0u) {
      kept = atomicLoad(&taken);
    }
    let count = workgroupUniformLoad(&kept);
    if (count > most) {
      sortEntries(count, lane);
      last = entries[params.k - 1u];
      if (lane == 0u) {
        atomicStore(&taken, params.k);
        kept = params.k;
      }
      workgroupBarrier();
    }
  }
  let count = workgroupUniformLoad(&kept);
  sortEntries(count, lane);
  for (var i = lane; i < params.k; i += LANES) {
    let found = i < count;
    bestValues[ordinal * params.k + i] = select(LARGEST, entries[i].value, found);
    bestSlots[ordinal * params.k + i] = select(NONE, entries[i].slot, found);
  }
}
