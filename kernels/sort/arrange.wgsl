// Puts the tokens of each chunk in order of position. Windows are whole chunks, so that any order within
// one gives the same attention; in this one the keys that come too late for a causal query lie together,
// where the attend kernels skip them.
//
//   index: token at each slot [rows, L]   →   the same
//
// One workgroup per as many chunks as 64 slots hold, or one longer chunk of up to 1,024; a lane takes every
// 64th slot. A token's place is the number of its chunk's earlier tokens.

struct Params {
  L: u32,
  C: u32,
  tiles: u32,              // workgroups of a row
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> index: array<u32>;

const LANES: u32 = 64u;
const NONE: u32 = 0xffffffffu; // no token: beyond the chunk

var<workgroup> tokens: array<vec4u, 256>; // four at a time, each chunk from a vec4 of its own on

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
  let C = params.C;
  let pitch = (C + 3u) / 4u;
  let chunks = max(1u, LANES / C);
  let first = ordinal % params.tiles * chunks * C;
  let count = min(chunks * C, params.L - first);
  let start = ordinal / params.tiles * params.L + first;
  for (var i = lane; i < chunks * pitch; i += LANES) {
    let four = 4u * (i % pitch) + vec4u(0u, 1u, 2u, 3u);
    let slots = i / pitch * C + four;
    let at = start + min(slots, vec4u(count - 1u));
    let held = vec4u(index[at.x], index[at.y], index[at.z], index[at.w]);
    tokens[i] = select(vec4u(NONE), held, (four < vec4u(C)) & (slots < vec4u(count)));
  }
  workgroupBarrier();
  storageBarrier(); // all have been read
  for (var i = lane; i < count; i += LANES) {
    let chunk = i / C;
    let token = tokens[chunk * pitch + i % C / 4u][i % C % 4u];
    var earlier = vec4u();
    for (var n = chunk * pitch; n < (chunk + 1u) * pitch; n++) {
      earlier += vec4u(tokens[n] < vec4u(token));
    }
    index[start + chunk * C + earlier.x + earlier.y + earlier.z + earlier.w] = token;
  }
}
