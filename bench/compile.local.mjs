import { readFileSync } from 'node:fs';
const adapter = await navigator.gpu.requestAdapter();
const device = await adapter.requestDevice();
async function time(code, sizes) {
  for (const [k, v] of Object.entries(sizes)) code = code.replace(new RegExp(`const ${k}: u32 = \\d+u`), `const ${k}: u32 = ${v}u`);
  code += `\n// ${Math.random()}`;
  const t = performance.now();
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const n = [...code.matchAll(/@binding\((\d+)\) var<(\w+)/g)];
  const entries = n.map(([, b, kind]) => ({ binding: +b, resource: { buffer: device.createBuffer({ size: 65536, usage: kind === 'uniform' ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE }) } }));
  let bg; try { bg = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }); } catch (e) { console.log(String(e)); }
  const e = device.createCommandEncoder(); const p = e.beginComputePass(); p.setPipeline(pipeline); p.setBindGroup(0, bg); p.dispatchWorkgroups(1); p.end(); device.queue.submit([e.finish()]);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - t;
}
device.onuncapturederror = (e) => console.log(e.error.message.slice(0, 300));
const sizes = JSON.parse(process.env.SIZES ?? '{}');
for (let rep = 0; rep < 2; rep++) for (const f of process.argv.slice(2)) console.log(f, (await time(readFileSync(f, 'utf8'), sizes)).toFixed(0));
process.exit(0);
