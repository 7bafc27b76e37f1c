// How many bytes a device can move by the second: every vec4 is read once and written once. No kernel can
// move its data faster, unless a cache holds it.
//
//   source [vectors]   →   target [vectors]
//
// One workgroup copies 256 vec4, a lane each.

struct Params {
  vectors: u32,
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> copied: array<vec4f>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * 256u + lane;
  if (i < params.vectors) {
    copied[i] = source[i];
  }
}
