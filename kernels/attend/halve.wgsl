enable f16;
// Rows as 16-bit floats, in which the attend kernels then read half the bytes. What is beyond their
// range becomes the largest of them.
//
//   rows [BH, L, D or E]   →   halves, the same
//
// One lane per vec4, 64 a workgroup.

struct Params {
  vectors: u32,      // BH·L·D / 4
  workgroups: u32,
  rowsStart: u32,    // elements between the binding's start and the first row of this batch
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> halves: array<vec4h>;

const LARGEST: f32 = 65504.0; // of 16-bit floats

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * 64u + lane;
  if (i < params.vectors) {
    halves[i] = vec4h(clamp(rows[params.rowsStart / 4u + i], vec4f(-LARGEST), vec4f(LARGEST)));
  }
}
