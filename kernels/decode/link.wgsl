// Takes the bucket ids of new tokens into the cache, and links every token to the one before it in
// its bucket: a bucket is a list that starts at its latest token.
//
//   newBuckets [rows, R, T]   →   buckets, links [rows, R, capacity]   heads [rows, R, N]
//
// A link or head is a position + 1; 0 is none, so that a cleared buffer is an empty cache. Padding,
// bucket N, is not linked.
//
// One workgroup per (b·h, round) walks the new tokens 64 at a time: no other touches its lists.

struct Params {
  T: u32,                 // new tokens
  N: u32,
  length: u32,            // tokens before them
  capacity: u32,
  workgroups: u32,
  newBucketsStart: u32,   // elements between a binding's start and the first row of this batch
  bucketsStart: u32,
  linksStart: u32,
  headsStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> newBuckets: array<i32>;
@group(0) @binding(2) var<storage, read_write> buckets: array<i32>;
@group(0) @binding(3) var<storage, read_write> links: array<u32>;
@group(0) @binding(4) var<storage, read_write> heads: array<u32>;

const LANES: u32 = 64u;

var<workgroup> tile: array<u32, LANES>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  if (index >= params.workgroups) {
    return;
  }
  let newRow = params.newBucketsStart + index * params.T;
  let headsRow = params.headsStart + index * params.N;

  for (var base = 0u; base < params.T; base += LANES) {
    let count = min(LANES, params.T - base);
    var bucket = params.N;
    if (lane < count) {
      bucket = min(u32(newBuckets[newRow + base + lane]), params.N);
    }
    tile[lane] = bucket;
    workgroupBarrier();
    let isReal = bucket < params.N;
    var link = 0u;
    if (isReal) {
      var i = lane;
      while (i > 0u && tile[i - 1u] != bucket) {
        i -= 1u;
      }
      // i - 1 is the nearest of the bucket in this tile; without one, the latest before the tile.
      if (i > 0u) {
        link = params.length + base + i;
      } else {
        link = heads[headsRow + bucket];
      }
    }
    if (lane < count) {
      let at = index * params.capacity + params.length + base + lane;
      buckets[params.bucketsStart + at] = i32(bucket);
      links[params.linksStart + at] = link;
    }
    workgroupBarrier();
    storageBarrier();
    var isLast = isReal;
    for (var i = lane + 1u; i < count; i++) {
      isLast = isLast && tile[i] != bucket;
    }
    if (isLast) {
      heads[headsRow + bucket] = params.length + base + lane + 1u;
    }
    workgroupBarrier();
    storageBarrier();
  }
}
