// In how many bits the code of every vector differs from that of every query: the keys that the vectors of a
// query are then sorted by.
//
//   codes [part, words]   queryCodes [queries, words]   allowed [slots]   →   keys [queries, slots]
//
// A part is as many slots as a binding holds. Slots that are not allowed get the key after all others.
//
// One lane per slot, 64 a workgroup, for all queries: a code is loaded once and stays in the cache.

struct Params {
  slots: u32,       // of all parts: the length of a row of keys
  firstSlot: u32,   // of the part
  partSlots: u32,
  queries: u32,
  vectors: u32,     // vec4u of a code
  lastKey: u32,
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> codes: array<vec4u>;
@group(0) @binding(2) var<storage, read> queryCodes: array<vec4u>;
@group(0) @binding(3) var<storage, read> allowed: array<u32>;
@group(0) @binding(4) var<storage, read_write> keys: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let local = (group.x + group.y * groups.x) * 64u + lane;
  if (local >= params.partSlots) {
    return;
  }
  let slot = params.firstSlot + local;
  let found = allowed[slot] != 0u;
  for (var q = 0u; q < params.queries; q++) {
    var differing = vec4u();
    for (var v = 0u; v < params.vectors; v++) {
      differing += countOneBits(codes[local * params.vectors + v] ^ queryCodes[q * params.vectors + v]);
    }
    let distance = differing.x + differing.y + (differing.z + differing.w);
    keys[q * params.slots + slot] = select(params.lastKey, distance, found);
  }
}
